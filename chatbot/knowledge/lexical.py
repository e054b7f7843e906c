"""Words in common: BM25 over one document per FAQ. Pure numpy; knows nothing of vectors or the database.

Words are lower-cased and lightly stemmed; Chinese, Japanese, Korean and Thai have no word borders to rely on and are cut into
character 1- and 2-grams. Every word of a question counts on its own (OR): joining them with AND finds nothing for nine in ten
real questions.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Of one document: its tokens' numbers and how often each stands in it.
_Counted = tuple[NDArray[np.intp], NDArray[np.float32]]

_K1 = 1.2
_B = 0.75
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_RUN = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}]+(?:['’][^\W{_UNSPACED}]+)?", re.UNICODE)
_UNSPACED_RUN = re.compile(rf"[{_UNSPACED}]")
# Endings that separate "refund", "refunds", "refunded" and "refunding"; for other languages they seldom apply.
_ENDINGS = ("ings", "ing", "ies", "ied", "es", "ed", "s")

# What a word counts that is one letter away from a known one. Short words have too many such neighbours.
_SLIP_SHARE = 0.7
_SLIP_MIN_CHARS = 5
_SLIP_MAX_WORDS = 20_000


def tokens(text: str) -> list[str]:
    """Cut a text into comparable pieces."""
    found: list[str] = []
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).lower()):
        if _UNSPACED_RUN.match(run):
            found.extend(run)
            found.extend(run[i : i + 2] for i in range(len(run) - 1))
        else:
            found.append(_stem(run))
    return found


def _stem(word: str) -> str:
    word = re.sub(r"['’].*", "", word)
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            stem = word[: -len(ending)]
            return stem + "y" if ending in ("ies", "ied") else stem
    return word


class Bm25:
    """Scores of all documents for a question, by postings lists. Read-only after it is built."""

    def __init__(self, documents: Sequence[str], *, like: Bm25 | None = None, same_as: NDArray[np.intp] | None = None) -> None:
        """Build from documents. like, same_as (documents,): take document i from `like`'s same_as[i] where that is not -1."""
        self._numbers: dict[str, int] = dict(like._numbers) if like else {}
        self._counts: list[_Counted] = [
            like._counts[same_as[row]] if like and same_as is not None and same_as[row] >= 0 else self._counted(document)
            for row, document in enumerate(documents)
        ]
        self._size = len(self._counts)
        lengths = np.array([frequencies.sum() for _, frequencies in self._counts], dtype=np.float32)
        self._mean_length = max(float(lengths.mean()) if len(lengths) else 0.0, 1.0)
        self._norm = _K1 * (1 - _B + _B * lengths / self._mean_length)
        self._starts, self._rows, self._weights = self._postings()
        self._slips = _slips_of(self._numbers)

    def _counted(self, document: str) -> _Counted:
        count = Counter(tokens(document))
        numbers = [self._numbers.setdefault(token, len(self._numbers)) for token in count]
        return np.array(numbers, dtype=np.intp), np.array(list(count.values()), dtype=np.float32)

    def _postings(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
        """All (token, document) pairs ordered by token: where each token starts, the documents, what each adds."""
        if not self._counts:
            return np.zeros(len(self._numbers) + 1, np.intp), np.zeros(0, np.intp), np.zeros(0, np.float32)
        numbers = np.concatenate([numbers for numbers, _ in self._counts])
        frequency = np.concatenate([frequencies for _, frequencies in self._counts])
        rows = np.repeat(np.arange(self._size), [len(numbers) for numbers, _ in self._counts])
        holders = np.bincount(numbers, minlength=len(self._numbers))
        idf = np.log(1 + (self._size - holders + 0.5) / (holders + 0.5))
        weights = idf[numbers] * frequency * (_K1 + 1) / (frequency + self._norm[rows])
        order = np.argsort(numbers, kind="stable")
        starts = np.concatenate([[0], np.cumsum(holders)])
        return starts.astype(np.intp), rows[order].astype(np.intp), weights[order].astype(np.float32)

    def scores(self, text: str) -> NDArray[np.float32]:
        """Score every document; returns (documents,) float32, zero where nothing is shared."""
        total = np.zeros(self._size, dtype=np.float32)
        for token in dict.fromkeys(tokens(text)):
            for known, share in self._known(token):
                postings = slice(self._starts[known], self._starts[known + 1])
                total[self._rows[postings]] += np.float32(share) * self._weights[postings]
        return total

    def _known(self, token: str) -> Sequence[tuple[int, float]]:
        """The token's number, or those of the words that one slip of the hand makes of it, sharing less than its weight."""
        number = self._numbers.get(token)
        if number is not None:
            return ((number, 1.0),)
        near = {found for shape in _shapes(token) for found in self._slips.get(shape, ())}
        return tuple((found, _SLIP_SHARE / len(near)) for found in sorted(near))

    def score_without(self, document: int, text: str) -> float:
        """Score one document for a text that stands in it, as if it did not."""
        numbers, frequencies = self._counts[document]
        count = dict(zip(numbers.tolist(), frequencies.tolist(), strict=True))
        removed = Counter(tokens(text))
        length = max(sum(count.values()) - sum(removed.values()), 0)
        norm = _K1 * (1 - _B + _B * length / self._mean_length)
        score = 0.0
        for token, times in removed.items():
            number = self._numbers[token]
            frequency = count.get(number, 0) - times
            if frequency > 0:
                holders = int(self._starts[number + 1] - self._starts[number])
                idf = float(np.log(1 + (self._size - holders + 0.5) / (holders + 0.5)))
                score += idf * frequency * (_K1 + 1) / (frequency + norm)
        return score


def _shapes(word: str) -> set[str]:
    """The word and what is left of it without one letter: two words that one slip parts share a shape (Garbe's SymSpell)."""
    if len(word) < _SLIP_MIN_CHARS or not word.isalpha() or _UNSPACED_RUN.match(word):
        return set()
    return {word} | {word[:i] + word[i + 1 :] for i in range(len(word))}


def _slips_of(numbers: dict[str, int]) -> dict[str, tuple[int, ...]]:
    if len(numbers) > _SLIP_MAX_WORDS:
        return {}
    found: dict[str, tuple[int, ...]] = {}
    for word, number in numbers.items():
        for shape in _shapes(word):
            found[shape] = (*found.get(shape, ()), number)
    return found
