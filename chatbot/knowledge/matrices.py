"""Small steps on matrices that scoring is made of."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

Matrix = NDArray[np.float32]
Row = NDArray[np.float32]
Rows = NDArray[np.intp]

# More phrasings than this make the covariance no better, only slower.
COVARIANCE_ROWS = 20_000


@cache
def keep_blas_single() -> None:
    """Let numpy's matrix library use one thread in this process. torch has its own.

    One question is too small to share out: on a busy machine its threads wait for each other, 20 ms instead of 2.
    """
    ThreadpoolController().limit(limits=1, user_api="blas")


def sampled(rows: int) -> Rows:
    """At most COVARIANCE_ROWS of the rows, spread evenly."""
    return np.unique(np.linspace(0, rows - 1, min(rows, COVARIANCE_ROWS)).astype(np.intp))


def blocks(rows: NDArray[np.floating], size: int = 8192) -> list[NDArray[np.floating]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def sums_of(rows: NDArray[np.floating], starts: Rows) -> Matrix:
    if not len(starts):
        return np.asarray(rows, dtype=np.float32)
    if rows.dtype == np.float32:
        return np.asarray(np.add.reduceat(rows, starts, axis=0), dtype=np.float32)
    # Numpy adds half precision many times slower than it widens and adds it.
    ends = np.append(starts[1:], len(rows))
    cuts = np.unique(np.append(np.arange(0, len(starts), 4096), len(starts)))
    sums = []
    for first, last in zip(cuts, cuts[1:], strict=False):
        block = rows[starts[first] : ends[last - 1]].astype(np.float32)
        sums.append(np.add.reduceat(block, starts[first:last] - starts[first], axis=0))
    return np.concatenate(sums)


def without(scores: Matrix, entries: Rows) -> Matrix:
    kept = np.ones(scores.shape, dtype=bool)
    kept[np.arange(len(entries)), entries] = False
    return scores[kept].reshape(len(entries), -1)


def z(scores: Matrix) -> Matrix:
    spread = scores.std(axis=1, keepdims=True)
    return np.asarray((scores - scores.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-6), dtype=np.float32)


def unit(rows: Matrix) -> Matrix:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9), dtype=np.float32)
