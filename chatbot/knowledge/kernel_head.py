"""Kernel ridge regression from phrasings to entries: closed form, and exact when phrasings are left out. Pure numpy.

Beside the linear head it sees how phrasings lie within an entry, which tells the more the more there are. Its matrix grows with
the square of their number, so it serves bases of up to KERNEL_UP_TO phrasings.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Rows = NDArray[np.intp]

KERNEL_UP_TO = 3_000
# Read off the tuning halves of BANKING77 and CLINC150; flat around these values.
_STEEPNESS = 2.0
_RIDGE = 0.1


class KernelHead:
    """How strongly the phrasings speak for each entry. Read-only after it is built."""

    def __init__(self, phrasings: Matrix, owners: Rows, *, entries: int) -> None:
        """phrasings: (N, D) of length 1; owners: (N,)."""
        self._kernel = _kernel(phrasings @ phrasings.T)
        self._targets = np.full((len(owners), entries), -1 / entries, dtype=np.float32)
        self._targets[np.arange(len(owners)), owners] += 1
        self._owners = owners
        self._weights: Matrix = np.linalg.solve(self._ridged, self._targets).astype(np.float32)

    @property
    def _ridged(self) -> Matrix:
        return self._kernel + np.float32(_RIDGE) * np.eye(len(self._kernel), dtype=np.float32)

    @cached_property
    def _inverse(self) -> Matrix:
        return np.asarray(np.linalg.inv(self._ridged), dtype=np.float32)

    def score(self, likeness: Matrix) -> Matrix:
        """likeness: (M, N) of questions to phrasings; returns (M, entries)."""
        return np.asarray(_kernel(likeness) @ self._weights, dtype=np.float32)

    def score_left_out(self, row: int, *, whole: bool) -> Matrix:
        """Score a phrasing as if it, or its `whole` entry, had never been there; (entries,)."""
        if not whole:
            return np.asarray(self._targets[row] - self._weights[row] / self._inverse[row, row], dtype=np.float32)
        block = np.flatnonzero(self._owners == self._owners[row])
        gone = np.linalg.solve(self._inverse[np.ix_(block, block)], self._weights[block])
        return np.asarray(self._targets[row] - gone[np.searchsorted(block, row)], dtype=np.float32)


def _kernel(likeness: Matrix) -> Matrix:
    return np.asarray(np.exp(np.float32(_STEEPNESS) * (likeness - np.float32(1))), dtype=np.float32)
