"""Which of many alike things a conversation speaks of: the hotel, the shop, the product that the FAQs' categories name. Pure.

Where one question is answered differently for each of many categories ("Is there parking?"), the question alone cannot tell
which answer is meant; what either side said before can. Names are compared by the character trigrams they share, so that spoken
and mistyped ones are heard. Bases whose questions differ by themselves have no use for this and are left alone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chatbot.knowledge.matrices import Matrix, Rows

MIN_TOPICS = 5
# A base asks alike when this share of its entries has a twin in another category at least this like it.
_TWIN_LIKENESS = 0.75
_TWIN_SHARE = 0.3
_TWIN_SAMPLE = 300
# Read off the tuning half of DSTC10's turns (hash of the text).
# Of a name's trigrams, weighted by how few names have them, what must occur; what was said earlier counts less.
_HEARD_AT = 0.6
_AGE_SHARE = 0.96
_MAX_TURNS = 20


class Topics:
    """The categories of a base's entries. Read-only after it is built."""

    def __init__(self, categories: Sequence[str], directions: Matrix) -> None:
        """categories (entries,), "" for none; directions (entries, D) of length 1."""
        self.names = sorted({category for category in categories if category.strip()})
        numbers = {name: number for number, name in enumerate(self.names)}
        self._of_entry: Rows = np.array([numbers.get(category, -1) for category in categories], dtype=np.intp)
        self.matter = len(self.names) >= MIN_TOPICS and _has_twins(self._of_entry, directions)
        shapes = [_trigrams(name) for name in self.names] if self.matter else []
        holders: dict[str, list[int]] = {}
        for number, grams in enumerate(shapes):
            for gram in grams:
                holders.setdefault(gram, []).append(number)
        self._holders = {
            gram: (np.array(found, dtype=np.intp), float(np.log(1 + len(self.names) / len(found))))
            for gram, found in holders.items()
        }
        self._whole = np.array([sum(self._holders[gram][1] for gram in grams) for grams in shapes]) + 1e-9

    def heard(self, turns: Sequence[str]) -> NDArray[np.float32] | None:
        """How much each entry's category was named, 0 to 1; None when none was. turns: what was said, newest last."""
        if not self.matter:
            return None
        best = np.zeros(len(self.names))
        for age, turn in enumerate(reversed(turns[-_MAX_TURNS:])):
            shares = np.zeros(len(self.names))
            for gram in _trigrams(turn):
                if gram in self._holders:
                    numbers, weight = self._holders[gram]
                    shares[numbers] += weight
            shares /= self._whole
            best = np.maximum(best, np.where(shares >= _HEARD_AT, shares * _AGE_SHARE**age, 0.0))
        if not best.any():
            return None
        return np.append(best, 0.0)[self._of_entry].astype(np.float32)


def _trigrams(text: str) -> set[str]:
    letters = (c if c.isalnum() else " " for c in unicodedata.normalize("NFKC", text).lower())
    words = f" {' '.join(''.join(letters).split())} "
    return {words[start : start + 3] for start in range(len(words) - 2)}


def _has_twins(of_entry: Rows, directions: Matrix) -> bool:
    rows = np.unique(np.linspace(0, len(of_entry) - 1, min(len(of_entry), _TWIN_SAMPLE)).astype(np.intp))
    likeness = directions[rows] @ directions.T
    likeness[of_entry[rows][:, None] == of_entry[None, :]] = -1.0
    return float(np.mean(likeness.max(axis=1) >= _TWIN_LIKENESS)) >= _TWIN_SHARE
