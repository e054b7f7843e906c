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

_K1 = 1.2
_B = 0.75
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_RUN = re.compile(rf"[{_UNSPACED}]+|[^\W{_UNSPACED}]+(?:['’][^\W{_UNSPACED}]+)?", re.UNICODE)
_UNSPACED_RUN = re.compile(rf"[{_UNSPACED}]")
# Endings that separate "refund", "refunds", "refunded" and "refunding"; for other languages they seldom apply.
_ENDINGS = ("ings", "ing", "ies", "ied", "es", "ed", "s")


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
    """Scores of all documents for a question, by postings lists."""

    def __init__(self, documents: Sequence[str]) -> None:
        counts = self._counts = [Counter(tokens(document)) for document in documents]
        lengths = np.array([sum(count.values()) for count in counts], dtype=np.float32)
        self._mean_length = max(float(lengths.mean()) if len(lengths) else 0.0, 1.0)
        self._norm = _K1 * (1 - _B + _B * lengths / self._mean_length)
        self._size = len(counts)
        rows: dict[str, list[int]] = {}
        frequencies: dict[str, list[int]] = {}
        for row, count in enumerate(counts):
            for token, frequency in count.items():
                rows.setdefault(token, []).append(row)
                frequencies.setdefault(token, []).append(frequency)
        self._postings = {
            token: (np.array(rows[token], dtype=np.intp), self._weights(rows[token], frequencies[token])) for token in rows
        }

    def _weights(self, rows: list[int], frequencies: list[int]) -> NDArray[np.float32]:
        idf = np.log(1 + (self._size - len(rows) + 0.5) / (len(rows) + 0.5))
        frequency = np.array(frequencies, dtype=np.float32)
        return np.asarray(idf * frequency * (_K1 + 1) / (frequency + self._norm[rows]), dtype=np.float32)

    def scores(self, text: str) -> NDArray[np.float32]:
        """Score every document; returns (documents,) float32, zero where nothing is shared."""
        total = np.zeros(self._size, dtype=np.float32)
        for token in set(tokens(text)):
            posting = self._postings.get(token)
            if posting is not None:
                total[posting[0]] += posting[1]
        return total

    def score_without(self, document: int, text: str) -> float:
        """Score one document for a text that stands in it, as if it did not."""
        count = self._counts[document]
        removed = Counter(tokens(text))
        length = max(sum(count.values()) - sum(removed.values()), 0)
        norm = _K1 * (1 - _B + _B * length / self._mean_length)
        score = 0.0
        for token in removed:
            frequency = count[token] - removed[token]
            if frequency > 0:
                holders = len(self._postings[token][0])
                idf = float(np.log(1 + (self._size - holders + 0.5) / (holders + 0.5)))
                score += idf * frequency * (_K1 + 1) / (frequency + norm)
        return score
