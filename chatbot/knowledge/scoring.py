"""Rank a company's entries for a question, by matrices alone. Knows nothing of the database or of how vectors are made.

An entry is one thing the company says, in any number of languages and phrasings. Vectors are centred by the knowledge base's
own mean; where entries have several phrasings, the directions in which these differ among themselves are shortened as well. A
score joins up to four views, each made comparable by a z-score over all entries:
- likeness: the best phrasing plus the entry's mean;
- head: linear discriminant analysis with shrunk covariance (Friedman 1989), closed form, so that a new phrasing costs
  milliseconds and leaving one out costs nothing;
- kernel: kernel ridge regression, closed form as well, for bases that are not large;
- lexical: BM25 over one document per entry.

Beyond EXACT_UP_TO phrasings the best phrasing is first looked for in fewer dimensions; the entries that may come first are then
scored exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chatbot.knowledge.kernel_head import KERNEL_UP_TO, KernelHead
from chatbot.knowledge.lexical import Bm25
from chatbot.knowledge.matrices import (
    COVARIANCE_ROWS,
    Matrix,
    Row,
    Rows,
    blocks,
    keep_blas_single,
    sampled,
    sums_of,
    unit,
    without,
    z,
)

# Read off one half of the questions of BANKING77 and CLINC150 (hash of the text); flat around these values.
LEXICAL_WEIGHT = 0.2
LEXICAL_WEIGHT_WITHOUT_PHRASINGS = 0.1
HEAD_WEIGHT = 0.5
HEAD_WEIGHT_BESIDE_KERNEL = 0.3
KERNEL_WEIGHT = 0.3
SHRINKAGE = 0.5
METRIC_SHRINKAGE = 0.9
# A covariance within entries needs entries with several phrasings, and enough of these.
HEAD_MIN_PHRASINGS = 3.0
HEAD_MIN_ROWS = 60
# The mean of a single text is the text itself; one imagined text at zero keeps a base of one phrasing searchable.
_MEAN_PRIOR = 1

EXACT_UP_TO = 20_000
# At 100,000 phrasings 98 to 99 % of the exact first ten are found (benchmarks/retrieval_scale.py).
COARSE_DIMENSIONS = 128
_CANDIDATES = 300


@dataclass(frozen=True)
class Scores:
    """What is known about each entry for a batch of questions. All arrays are (questions, entries) float32."""

    fused: Matrix
    likeness: Matrix
    head: Matrix
    kernel: Matrix
    lexical: Matrix


@dataclass(frozen=True)
class LeftOut:
    """Phrasings asked as questions that the index has not seen: without themselves, or (`whole`) without their entries."""

    rows: Rows
    entries: Rows
    whole: bool


@dataclass(frozen=True)
class Carried:
    """An earlier scorer of nearly the same phrasings. rows (N,) and entries: the earlier number of each, -1 for new ones.

    An entry counts as an earlier one only when its phrasings are the same, one for one. scorer `can_carry` the new one.
    """

    scorer: Scorer
    rows: Rows
    entries: Rows

    @property
    def changes(self) -> int:
        """Rows that differ from those that mean and covariance were fitted on."""
        kept = int((self.rows >= 0).sum())
        return self.scorer.changes + len(self.scorer.owners) - kept + len(self.rows) - kept


def has_head(counts: NDArray[np.float32]) -> bool:
    """Whether entries with so many phrasings each are enough for a covariance."""
    several = int(counts[counts > 1].sum())
    return len(counts) > 2 and several >= HEAD_MIN_ROWS and int(counts.sum()) / len(counts) >= HEAD_MIN_PHRASINGS


class Scorer:
    """Scores of every entry for a question. Read-only after it is built, so any thread may use it."""

    def __init__(
        self,
        texts: Sequence[str],
        vectors: Matrix,
        owners: Rows,
        *,
        entries: int,
        parts: Sequence[int],
        carried: Carried | None = None,
        exact_up_to: int = EXACT_UP_TO,
    ) -> None:
        """Build from phrasings: texts (N,), vectors (N, D) of length 1, owners (N,) the entry of each, in 0..entries-1.

        Every entry owns at least one phrasing. parts: the widths of the encoders that the vectors join; they sum to D.
        carried: owners are then in order, vectors those of the new rows alone, and mean and covariance stay what they were.
        """
        keep_blas_single()
        self._parts = tuple(parts)
        order = np.argsort(owners, kind="stable")
        self.texts = [texts[row] for row in order]
        self.owners: Rows = owners[order]
        self.size = entries
        self.counts = np.bincount(self.owners, minlength=entries).astype(np.float32)
        self._starts: Rows = np.searchsorted(self.owners, np.arange(entries))
        self._exact_up_to = exact_up_to
        self._coarse_used = len(order) > exact_up_to
        # Rows that came or went since mean and covariance were fitted.
        self.changes = carried.changes if carried else 0
        self.has_head = has_head(self.counts)
        documents = [" \n ".join(self._texts_of(entry)) for entry in range(entries)]
        self._mean: Row
        self._metric: Matrix | None = None
        self.phrasings = self._fit_rows(vectors[order]) if carried is None else self._carry_rows(carried, vectors)
        self._lexical: Bm25 = (
            Bm25(documents, like=carried.scorer._lexical, same_as=carried.entries) if carried else Bm25(documents)
        )
        self._sums: Matrix = self._carry_sums(carried) if carried else sums_of(self.phrasings, self._starts)
        self.directions = unit(self._sums)
        self._whitener = self._kept_whitener(carried)
        self._white_means = self._whiten_means(carried)
        self._white_biases: Row = np.asarray(-0.5 * (self._white_means**2).sum(axis=1), dtype=np.float32)
        self._projection: Matrix | None = None
        self._coarse: Matrix | None = None
        if self._coarse_used:
            self._projection, self._coarse = self._reduce(carried)
        has_kernel = self.has_head and len(order) <= KERNEL_UP_TO and not self._coarse_used
        self._kernel = KernelHead(self.phrasings, self.owners, entries=entries) if has_kernel else None

    def can_carry(self, counts: Sequence[int]) -> bool:
        """Whether a scorer of entries with so many phrasings each is of the same kind as this one."""
        each = np.array(counts, dtype=np.float32)
        return has_head(each) == self.has_head and (int(each.sum()) > self._exact_up_to) == self._coarse_used

    def _fit_rows(self, vectors: Matrix) -> NDArray[np.floating]:
        self._mean = np.asarray(vectors.sum(axis=0) / (len(vectors) + _MEAN_PRIOR), dtype=np.float32)
        rows = self.place(vectors)
        if self.has_head:
            self._metric = self._fit_whitener(rows, shrinkage=METRIC_SHRINKAGE)
            rows = np.concatenate([unit(np.asarray(block @ self._metric, dtype=np.float32)) for block in blocks(rows)])
        return self._stored(rows)

    def _stored(self, rows: Matrix) -> NDArray[np.floating]:
        """Half precision for many: half the memory, and what it loses is far below what parts two texts."""
        return rows.astype(np.float16) if self._coarse_used else rows

    def _carry_rows(self, carried: Carried, vectors: Matrix) -> NDArray[np.floating]:
        self._mean, self._metric = carried.scorer._mean, carried.scorer._metric
        rows = carried.scorer.phrasings[np.maximum(carried.rows, 0)]
        rows[carried.rows < 0] = self.place(vectors)
        return rows

    def _carry_sums(self, kept: Carried) -> Matrix:
        sums = kept.scorer._sums[np.maximum(kept.entries, 0)]
        for entry in np.flatnonzero(kept.entries < 0):
            start = int(self._starts[entry])
            sums[entry] = self.phrasings[start : start + int(self.counts[entry])].astype(np.float32).sum(axis=0)
        return sums

    def _texts_of(self, entry: int) -> list[str]:
        start = int(self._starts[entry])
        return self.texts[start : start + int(self.counts[entry])]

    def place(self, vectors: Matrix) -> Matrix:
        """Subtract the knowledge base's mean, which all texts share and which therefore tells nothing; then apply the metric.

        Each part gets equal weight again: encoders differ in how much of their length the mean takes.
        """
        edges = np.cumsum(self._parts)[:-1]
        halves = [unit(part) for part in np.split(vectors - self._mean, edges, axis=1)]
        placed: Matrix = np.asarray(np.concatenate(halves, axis=1) / np.sqrt(len(halves)), dtype=np.float32)
        return placed if self._metric is None else unit(placed @ self._metric)

    def _fit_whitener(self, rows: NDArray[np.floating], *, shrinkage: float) -> Matrix:
        """The matrix L with L L^T = inverse of the shrunk covariance of rows (N, D) within entries; (D, D)."""
        some = sampled(len(rows))
        means = sums_of(rows, self._starts) / self.counts[:, None]
        deviations = rows[some].astype(np.float32) - means[self.owners[some]]
        covariance = (deviations.T @ deviations) / len(deviations)
        size = len(covariance)
        level = max(float(np.trace(covariance)) / size, 1e-6)
        shrunk = (1 - shrinkage) * covariance + shrinkage * level * np.eye(size, dtype=np.float32)
        # Single precision is enough: the shrinkage bounds the condition number, and half the work is felt at every publishing.
        return np.asarray(np.linalg.inv(np.linalg.cholesky(shrunk.astype(np.float32))).T, dtype=np.float32)

    def _kept_whitener(self, kept: Carried | None) -> Matrix | None:
        if not self.has_head:
            return None
        return kept.scorer._whitener if kept else self._fit_whitener(self.phrasings, shrinkage=SHRINKAGE)

    def _whiten(self, vectors: Matrix) -> Matrix:
        return vectors if self._whitener is None else vectors @ self._whitener

    def _whiten_means(self, kept: Carried | None) -> Matrix:
        """The entries' whitened means; (entries, D), or (0, D) without a head."""
        if not self.has_head:
            return np.zeros((0, self._sums.shape[1]), dtype=np.float32)
        if kept is None:
            return np.asarray(self._whiten(self._sums) / self.counts[:, None], dtype=np.float32)
        white = kept.scorer._white_means[np.maximum(kept.entries, 0)]
        changed = np.flatnonzero(kept.entries < 0)
        white[changed] = self._whiten(self._sums[changed]) / self.counts[changed, None]
        return white

    def _reduce(self, carried: Carried | None) -> tuple[Matrix, Matrix]:
        """The directions in which the phrasings differ most, (D, coarse), and the phrasings in these, (N, coarse)."""
        earlier = carried.scorer if carried else None
        if carried is not None and earlier is not None and earlier._projection is not None and earlier._coarse is not None:
            coarse = earlier._coarse[np.maximum(carried.rows, 0)]
            fresh = np.flatnonzero(carried.rows < 0)
            coarse[fresh] = self.phrasings[fresh].astype(np.float32) @ earlier._projection
            return earlier._projection, coarse
        some = self.phrasings[sampled(len(self.phrasings))].astype(np.float32)
        _, directions = np.linalg.eigh(some.T @ some)
        projection = np.ascontiguousarray(directions[:, -COARSE_DIMENSIONS:], dtype=np.float32)
        return projection, np.concatenate([block.astype(np.float32) @ projection for block in blocks(self.phrasings)])

    @property
    def is_coarse(self) -> bool:
        """Whether the search first looks in fewer dimensions."""
        return self._coarse is not None

    @property
    def memory_bytes(self) -> int:
        """What the matrices take; the texts and postings come on top."""
        arrays = (self.phrasings, self._sums, self.directions, self._white_means, self._coarse)
        return sum(array.nbytes for array in arrays if array is not None)

    def score(self, vectors: Matrix, texts: Sequence[str]) -> Scores:
        """Score all entries for questions: vectors (M, D) as embedded, texts (M,)."""
        return self._score(self.place(vectors), texts, left_out=None)

    def score_left_out(self, rows: Rows, *, whole: bool) -> Scores:
        """Score phrasings as questions, each without itself (its entry must own another) or without its whole entry.

        With `whole` the own entry is gone from the result, which is then (questions, entries - 1).
        """
        left_out = LeftOut(rows=rows, entries=self.owners[rows], whole=whole)
        questions = self.phrasings[rows].astype(np.float32)
        return self._score(questions, [self.texts[row] for row in rows], left_out=left_out)

    def _score(self, questions: Matrix, texts: Sequence[str], *, left_out: LeftOut | None) -> Scores:
        to_mean = self._to_mean(questions, left_out)
        head = self._head(questions, left_out)
        lexical = self._lexical_scores(texts, left_out)
        to_rows = self._to_rows(questions)
        kernel = self._kernel_scores(to_rows, left_out)
        best = self._best(to_rows, left_out)
        if self._coarse is not None:
            self._refine(best, questions, self._fuse(best + to_mean, head, kernel, lexical), left_out)
        likeness: Matrix = (best + to_mean) * np.float32(0.5)
        if left_out is not None and left_out.whole:
            likeness, head, kernel, lexical = (without(values, left_out.entries) for values in (likeness, head, kernel, lexical))
        fused = self._fuse(likeness, head, kernel, lexical)
        return Scores(fused=fused, likeness=likeness, head=head, kernel=kernel, lexical=lexical)

    def _fuse(self, likeness: Matrix, head: Matrix, kernel: Matrix, lexical: Matrix) -> Matrix:
        if not self.has_head:
            return np.asarray(z(likeness) + LEXICAL_WEIGHT_WITHOUT_PHRASINGS * z(lexical), dtype=np.float32)
        if self._kernel is None:
            fused = (1 - HEAD_WEIGHT) * z(likeness) + HEAD_WEIGHT * z(head)
        else:
            rest = 1 - HEAD_WEIGHT_BESIDE_KERNEL - KERNEL_WEIGHT
            fused = rest * z(likeness) + HEAD_WEIGHT_BESIDE_KERNEL * z(head) + KERNEL_WEIGHT * z(kernel)
        return np.asarray(fused + LEXICAL_WEIGHT * z(lexical), dtype=np.float32)

    def _to_rows(self, questions: Matrix) -> Matrix:
        """Likeness to every phrasing; by fewer dimensions where there are many."""
        if self._coarse is None or self._projection is None:
            return np.asarray(questions @ self.phrasings.T, dtype=np.float32)
        return np.asarray((questions @ self._projection) @ self._coarse.T, dtype=np.float32)

    def _kernel_scores(self, to_rows: Matrix, left_out: LeftOut | None) -> Matrix:
        if self._kernel is None:
            return np.zeros((len(to_rows), self.size), dtype=np.float32)
        if left_out is None:
            return self._kernel.score(to_rows)
        return np.stack([self._kernel.score_left_out(int(row), whole=left_out.whole) for row in left_out.rows])

    def _best(self, likeness: Matrix, left_out: LeftOut | None) -> Matrix:
        if left_out is not None and not left_out.whole:
            likeness[np.arange(len(likeness)), left_out.rows] = -1.0
        return np.asarray(np.maximum.reduceat(likeness, self._starts, axis=1), dtype=np.float32)

    def _refine(self, best: Matrix, questions: Matrix, fused: Matrix, left_out: LeftOut | None) -> None:
        """Put the exact likeness into `best` for the entries that may come first."""
        some = min(_CANDIDATES, self.size)
        for number, question in enumerate(questions):
            entries = np.sort(np.argpartition(fused[number], -some)[-some:])
            counts = self.counts[entries].astype(np.intp)
            starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.intp)
            rows = np.repeat(self._starts[entries] - starts, counts) + np.arange(counts.sum())
            likeness = self.phrasings[rows].astype(np.float32) @ question
            if left_out is not None and not left_out.whole:
                likeness[rows == left_out.rows[number]] = -1.0
            best[number, entries] = np.maximum.reduceat(likeness, starts)

    def _to_mean(self, questions: Matrix, left_out: LeftOut | None) -> Matrix:
        likeness = questions @ self.directions.T
        if left_out is not None and not left_out.whole:
            rest = unit(self._sums[left_out.entries] - questions)
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
            removed = self._whiten(self.phrasings[start : start + int(count)].astype(np.float32)) - means[entry]
            projections = means @ removed.T
        else:
            removed = np.sqrt(count / (count - 1)) * (question - means[entry])[None]
            rest = (count * means[entry] - question) / (count - 1)
            projections = means @ removed.T
            projections[entry] = rest @ removed.T
            head[entry] = question @ rest - 0.5 * rest @ rest
        share = min(len(self.phrasings), COVARIANCE_ROWS) / (1 - SHRINKAGE)
        gain = np.linalg.inv(share * np.eye(len(removed), dtype=np.float32) - removed @ removed.T)
        change = projections @ (gain @ (removed @ question)) - 0.5 * np.einsum("fr,rs,fs->f", projections, gain, projections)
        return np.asarray(head + change, dtype=np.float32)

    def _lexical_scores(self, texts: Sequence[str], left_out: LeftOut | None) -> Matrix:
        scores = np.stack([self._lexical.scores(text) for text in texts])
        if left_out is not None and not left_out.whole:
            for row, (entry, text) in enumerate(zip(left_out.entries, texts, strict=True)):
                scores[row, entry] = self._lexical.score_without(int(entry), text)
        return scores
