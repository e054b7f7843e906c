"""Search passages held in memory, and tell how likely each is to answer. Knows vectors and texts; nothing of the database.

likelihood = a small logistic model of two things that need no scale of an embedder's own: how far the passage's best window
stands out from the other passages and from texts about nothing in particular (in standard deviations, all vectors centred, the
mean over the embedder's models), and how much of the question's words, weighted by rarity, the passage has. How the weights were
found: docs/knowledge.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from chatbot.documents.background import TEXTS
from chatbot.engine.embedder import Embedder, Vectors
from chatbot.knowledge.lexical import tokens

# Fitted on one half (by hash of the text) of the questions to four handbooks of different kinds (tests/documents/library) and of
# the demo shop's questions against its answers as documents.
_CLOSENESS_WEIGHT = 1.710
_SHARED_WEIGHT = 1.048
_BIAS = -5.224
# A follow-up is read half by itself and half together with what was said before it.
_CONTEXT_SHARE = 0.5
# Below this the text is read together with what was said before.
CONTEXT_BELOW = 0.65

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Found:
    """likelihood: the probability that the passage answers."""

    passage_id: int
    likelihood: float


class PassageIndex:
    """Read-only after it is built, so any thread may search."""

    def __init__(
        self,
        passage_ids: Sequence[int],
        texts: Sequence[str],
        windows: Sequence[Vectors],
        embedder: Embedder,
        *,
        background: Vectors,
    ) -> None:
        """passage_ids, texts: (P,); windows: for each passage its vectors (w, D), w > 0; background: (B, D) of TEXTS."""
        self._ids = list(passage_ids)
        self._embedder = embedder
        rows = np.concatenate([*windows, background])
        ends = np.cumsum([0, *embedder.parts])
        self._parts = [_Part(rows[:, start:end], background=len(background)) for start, end in pairwise(ends)]
        self._columns = list(pairwise(ends))
        self._starts = np.cumsum([0, *(len(rows) for rows in windows[:-1])]) if windows else np.zeros(0, dtype=np.intp)
        self._postings, self._rarity, self._rarest = _postings(texts)

    def __len__(self) -> int:
        return len(self._ids)

    def search(self, text: str, *, context: Sequence[str] = (), limit: int = 5) -> list[Found]:
        """Rank the passages, likeliest first. context: what the customer said before, newest last."""
        if not self._ids or not tokens(text):
            return []
        likelihood = self._likelihood(text)
        if context and likelihood.max() < CONTEXT_BELOW:
            joined = self._likelihood(f"{context[-1]} {text}")
            likelihood = (1 - _CONTEXT_SHARE) * likelihood + _CONTEXT_SHARE * joined
        best = np.argsort(-likelihood, kind="stable")[:limit]
        return [Found(self._ids[row], round(float(likelihood[row]), 4)) for row in best]

    def _likelihood(self, text: str) -> Floats:
        closeness, shared = self.evidence(text)
        return np.asarray(1 / (1 + np.exp(-(_CLOSENESS_WEIGHT * closeness + _SHARED_WEIGHT * shared + _BIAS))), dtype=np.float32)

    def evidence(self, text: str) -> tuple[Floats, Floats]:
        """How close, and how many words shared; both (P,)."""
        vector = self._embedder.encode([text])[0]
        columns = zip(self._parts, self._columns, strict=True)
        each = [part.closeness(vector[start:end], self._starts) for part, (start, end) in columns]
        return np.mean(each, axis=0, dtype=np.float32), self._shared(text)

    def _shared(self, text: str) -> Floats:
        asked = set(tokens(text))
        shared = np.zeros(len(self._ids), dtype=np.float32)
        for token in asked & self._postings.keys():
            shared[self._postings[token]] += self._rarity[token]
        return shared / max(sum(self._rarity.get(token, self._rarest) for token in asked), 1e-6)


class _Part:
    """The vectors of one of the embedder's models. Each has a scale of its own, so each is measured by itself."""

    def __init__(self, rows: Vectors, *, background: int) -> None:
        """rows: the windows' (W, D), then the background's."""
        self._mean = rows.mean(axis=0)
        centred = _unit(rows - self._mean)
        self._windows, self._background = centred[:-background], centred[-background:]

    def closeness(self, vector: Vectors, starts: NDArray[np.intp]) -> Floats:
        """Of each passage's best window, in standard deviations of what passages and background have; (P,)."""
        asked = _unit((vector - self._mean)[None, :])[0]
        best = np.maximum.reduceat(self._windows @ asked, starts)
        usual = np.concatenate([best, self._background @ asked])
        return np.asarray((best - usual.mean()) / max(float(usual.std()), 1e-6), dtype=np.float32)


def _postings(texts: Sequence[str]) -> tuple[dict[str, NDArray[np.intp]], dict[str, float], float]:
    """Which passages hold a word; how rare each word is among passages and background; the rarity of a word nobody has."""
    holders: dict[str, list[int]] = {}
    for row, text in enumerate([*texts, *TEXTS]):
        for token in set(tokens(text)):
            holders.setdefault(token, []).append(row)
    size = len(texts) + len(TEXTS)
    rarity = {token: float(np.log(1 + size / len(rows))) for token, rows in holders.items()}
    postings = {token: np.array([row for row in rows if row < len(texts)], dtype=np.intp) for token, rows in holders.items()}
    return postings, rarity, float(np.log(1 + size))


def _unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), dtype=np.float32)
