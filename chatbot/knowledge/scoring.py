"""Rank a company's entries for a question, by matrices alone. Knows nothing of the database or of how vectors are made.

An entry is one thing the company says, in any number of languages and phrasings. Its score joins three views, each made
comparable by a z-score over all entries:
- likeness: the best phrasing plus the entry's mean, on vectors centred by the knowledge base's own mean;
- head: linear discriminant analysis with shrunk covariance (Friedman 1989), closed form, so that a new phrasing costs
  milliseconds and leaving one out costs nothing;
- lexical: BM25 over one document per entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from chatbot.knowledge.lexical import Bm25

Matrix = NDArray[np.float32]
Row = NDArray[np.float32]
Rows = NDArray[np.intp]

# Read off one half of the BANKING77 questions (hash of the text); flat around these values.
LEXICAL_WEIGHT = 0.2
LEXICAL_WEIGHT_WITHOUT_PHRASINGS = 0.1
HEAD_WEIGHT = 0.5
SHRINKAGE = 0.5
# A covariance within entries needs entries with several phrasings.
HEAD_MIN_PHRASINGS = 3.0
# The mean of a single text is the text itself; one imagined text at zero keeps a base of one phrasing searchable.
_MEAN_PRIOR = 1


@dataclass(frozen=True)
class Scores:
    """What is known about each entry for a batch of questions. All arrays are (questions, entries) float32."""

    fused: Matrix
    likeness: Matrix
    head: Matrix
    lexical: Matrix


@dataclass(frozen=True)
class LeftOut:
    """Phrasings asked as questions that the index has not seen: without themselves, or (`whole`) without their entries."""

    rows: Rows
    entries: Rows
    whole: bool


class Scorer:
    """Scores of every entry for a question. Read-only after it is built, so any thread may use it."""

    def __init__(self, texts: Sequence[str], vectors: Matrix, owners: Rows, *, entries: int, parts: Sequence[int]) -> None:
        """Build from phrasings: texts (N,), vectors (N, D) of length 1, owners (N,) the entry of each, in 0..entries-1.

        Every entry owns at least one phrasing. parts: the widths of the encoders that the vectors join; they sum to D.
        """
        _keep_blas_single()
        self._parts = tuple(parts)
        order = np.argsort(owners, kind="stable")
        self.texts = [texts[row] for row in order]
        self.owners: Rows = owners[order]
        self.size = entries
        self.counts = np.bincount(self.owners, minlength=entries).astype(np.float32)
        self._starts: Rows = np.searchsorted(self.owners, np.arange(entries))
        self._mean: Row = np.asarray(vectors.sum(axis=0) / (len(vectors) + _MEAN_PRIOR), dtype=np.float32)
        self.phrasings = self.centre(vectors[order])
        self._sums = np.add.reduceat(self.phrasings, self._starts, axis=0) if entries else self.phrasings
        self._lexical = Bm25([" \n ".join(self._texts_of(entry)) for entry in range(entries)])
        self.has_head = entries > 1 and len(vectors) / entries >= HEAD_MIN_PHRASINGS
        self._whitener = self._fit_whitener() if self.has_head else None
        self._directions = _unit(self._sums)
        self._white = self._whiten(self.phrasings)
        self._white_means: Matrix = np.asarray(self._whiten(self._sums) / self.counts[:, None], dtype=np.float32)
        self._white_biases: Row = np.asarray(-0.5 * (self._white_means**2).sum(axis=1), dtype=np.float32)

    def _texts_of(self, entry: int) -> list[str]:
        start = int(self._starts[entry])
        return self.texts[start : start + int(self.counts[entry])]

    def centre(self, vectors: Matrix) -> Matrix:
        """Subtract the knowledge base's mean, which all texts share and which therefore tells nothing.

        Each part gets equal weight again: encoders differ in how much of their length the mean takes.
        """
        edges = np.cumsum(self._parts)[:-1]
        halves = [_unit(part) for part in np.split(vectors - self._mean, edges, axis=1)]
        return np.asarray(np.concatenate(halves, axis=1) / np.sqrt(len(halves)), dtype=np.float32)

    def _fit_whitener(self) -> Matrix:
        """The matrix L with L L^T = inverse of the shrunk covariance within entries; (D, D)."""
        deviations = self.phrasings - (self._sums / self.counts[:, None])[self.owners]
        covariance = (deviations.T @ deviations) / len(deviations)
        size = len(covariance)
        level = max(float(np.trace(covariance)) / size, 1e-6)
        shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * level * np.eye(size, dtype=np.float32)
        # Single precision is enough: the shrinkage bounds the condition number, and half the work is felt at every publishing.
        return np.asarray(np.linalg.inv(np.linalg.cholesky(shrunk.astype(np.float32))).T, dtype=np.float32)

    def _whiten(self, vectors: Matrix) -> Matrix:
        return vectors if self._whitener is None else vectors @ self._whitener

    def score(self, vectors: Matrix, texts: Sequence[str]) -> Scores:
        """Score all entries for questions: vectors (M, D) as embedded, texts (M,)."""
        return self._score(self.centre(vectors), texts, left_out=None)

    def score_left_out(self, rows: Rows, *, whole: bool) -> Scores:
        """Score phrasings as questions, each without itself (its entry must own another) or without its whole entry.

        With `whole` the own entry is gone from the result, which is then (questions, entries - 1).
        """
        left_out = LeftOut(rows=rows, entries=self.owners[rows], whole=whole)
        return self._score(self.phrasings[rows], [self.texts[row] for row in rows], left_out=left_out)

    def _score(self, questions: Matrix, texts: Sequence[str], *, left_out: LeftOut | None) -> Scores:
        likeness: Matrix = (self._best(questions, left_out) + self._to_mean(questions, left_out)) * np.float32(0.5)
        head = self._head(questions, left_out)
        lexical = self._lexical_scores(texts, left_out)
        if left_out is not None and left_out.whole:
            likeness, head, lexical = (_without(values, left_out.entries) for values in (likeness, head, lexical))
        return Scores(fused=self._fuse(likeness, head, lexical), likeness=likeness, head=head, lexical=lexical)

    def _fuse(self, likeness: Matrix, head: Matrix, lexical: Matrix) -> Matrix:
        if not self.has_head:
            fused = _z(likeness) + LEXICAL_WEIGHT_WITHOUT_PHRASINGS * _z(lexical)
        else:
            fused = (1 - HEAD_WEIGHT) * _z(likeness) + HEAD_WEIGHT * _z(head) + LEXICAL_WEIGHT * _z(lexical)
        return np.asarray(fused, dtype=np.float32)

    def _best(self, questions: Matrix, left_out: LeftOut | None) -> Matrix:
        likeness = questions @ self.phrasings.T
        if left_out is not None and not left_out.whole:
            likeness[np.arange(len(questions)), left_out.rows] = -1.0
        return np.asarray(np.maximum.reduceat(likeness, self._starts, axis=1), dtype=np.float32)

    def _to_mean(self, questions: Matrix, left_out: LeftOut | None) -> Matrix:
        likeness = questions @ self._directions.T
        if left_out is not None and not left_out.whole:
            rest = _unit(self._sums[left_out.entries] - questions)
            likeness[np.arange(len(questions)), left_out.entries] = np.einsum("md,md->m", questions, rest)
        return np.asarray(likeness, dtype=np.float32)

    def _head(self, questions: Matrix, left_out: LeftOut | None) -> Matrix:
        if not self.has_head:
            return np.zeros((len(questions), self.size), dtype=np.float32)
        white = self._whiten(questions)
        head = white @ self._white_means.T + self._white_biases
        if left_out is not None:
            for row, entry in enumerate(left_out.entries):
                head[row] = self._head_left_out(white[row], head[row], int(entry), whole=left_out.whole)
        return np.asarray(head, dtype=np.float32)

    def _head_left_out(self, question: Row, head: Row, entry: int, *, whole: bool) -> Row:
        """Correct one question's head scores for what its own phrasing (or its whole entry) gave to mean and covariance.

        The covariance loses the rows `removed`; its inverse follows by Woodbury's identity, in whitened coordinates.
        """
        count, means = float(self.counts[entry]), self._white_means
        if whole:
            start = int(self._starts[entry])
            removed = self._white[start : start + int(count)] - means[entry]
            projections = means @ removed.T
        else:
            removed = np.sqrt(count / (count - 1)) * (question - means[entry])[None]
            rest = (count * means[entry] - question) / (count - 1)
            projections = means @ removed.T
            projections[entry] = rest @ removed.T
            head[entry] = question @ rest - 0.5 * rest @ rest
        share = len(self.phrasings) / (1 - SHRINKAGE)
        gain = np.linalg.inv(share * np.eye(len(removed), dtype=np.float32) - removed @ removed.T)
        change = projections @ (gain @ (removed @ question)) - 0.5 * np.einsum("fr,rs,fs->f", projections, gain, projections)
        return np.asarray(head + change, dtype=np.float32)

    def _lexical_scores(self, texts: Sequence[str], left_out: LeftOut | None) -> Matrix:
        scores = np.stack([self._lexical.scores(text) for text in texts])
        if left_out is not None and not left_out.whole:
            for row, (entry, text) in enumerate(zip(left_out.entries, texts, strict=True)):
                scores[row, entry] = self._lexical.score_without(int(entry), text)
        return scores


@cache
def _keep_blas_single() -> None:
    """Let numpy's matrix library use one thread in this process. torch has its own.

    One question is too small to share out: on a busy machine its threads wait for each other, 20 ms instead of 2.
    """
    ThreadpoolController().limit(limits=1, user_api="blas")


def _without(scores: Matrix, entries: Rows) -> Matrix:
    kept = np.ones(scores.shape, dtype=bool)
    kept[np.arange(len(entries)), entries] = False
    return scores[kept].reshape(len(entries), -1)


def _z(scores: Matrix) -> Matrix:
    spread = scores.std(axis=1, keepdims=True)
    return np.asarray((scores - scores.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-6), dtype=np.float32)


def _unit(rows: Matrix) -> Matrix:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9), dtype=np.float32)
