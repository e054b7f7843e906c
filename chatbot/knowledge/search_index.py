"""Search one knowledge base held in memory. Knows keys, phrasings and an embedder; nothing of the database or of answers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from chatbot.engine.embedder import Embedder, Vectors
from chatbot.knowledge.confidence import DIRECT_AT, ERROR_BUDGET, Calibration, calibrate, evidence_of
from chatbot.knowledge.lexical import tokens
from chatbot.knowledge.matrices import Matrix, Rows
from chatbot.knowledge.scoring import Carried, Scorer, Scores
from chatbot.knowledge.topics import Topics

Form = Literal["alone", "in_context"]

# A question that is sure by itself needs no context; below this it is read together with what was said before.
CONTEXT_BELOW = 0.80
# Measured on 25 follow-ups of the demo company (78 -> 96 % first) and 171 changes of topic (84 -> 83 %): half the question
# alone, half joined to the message before, less a share of what the message before would find by itself.
_CONTEXT_SHARE = 0.5
_BEFORE_SHARE = 0.2
# What a named category adds to its entries, in standard deviations of the score; others lose as much likeness as parts strangers.
_TOPIC_WEIGHT = 16.0
_OTHER_TOPIC_LOSS = 0.5
_LEFT_OUT_BATCH = 200
# A phrasing whose entry is gone and that another entry finds with this confidence has a rival worth telling apart.
_RIVAL_AT = 0.3


@dataclass(frozen=True)
class Hit:
    key: str
    score: float


@dataclass(frozen=True)
class Found:
    """hits: best first. confidence: the probability that hits[0] answers. form: whether the context was used."""

    hits: tuple[Hit, ...]
    confidence: float
    form: Form
    timings_ms: dict[str, float]


class SearchIndex:
    """Keys, their scores and how far to trust them. Read-only after it is built, so any thread may search."""

    def __init__(
        self,
        keys: Sequence[str],
        scorer: Scorer,
        embedder: Embedder,
        *,
        calibration: Calibration | None,
        topics: Mapping[str, str] | None = None,
        row_ids: Rows | None = None,
        error_budget: float = ERROR_BUDGET,
    ) -> None:
        """keys: (entries,) in the scorer's order. Without a calibration the index fits its own, for the error budget.

        topics: the category of each key. row_ids: what the caller knows the scorer's phrasings by, to load only others again.
        """
        self.keys = list(keys)
        self.scorer = scorer
        self.row_ids = row_ids
        self.embedder = embedder
        self.calibration = calibration or calibrate(scorer, error_budget=error_budget)
        self._topics = Topics([(topics or {}).get(key, "") for key in self.keys], scorer.directions) if topics else None

    @classmethod
    def from_phrasings(
        cls,
        keys: Sequence[str],
        texts: Sequence[str],
        vectors: Vectors,
        embedder: Embedder,
        *,
        calibration: Calibration | None = None,
        topics: Mapping[str, str] | None = None,
        row_ids: Rows | None = None,
        carried: Carried | None = None,
        error_budget: float = ERROR_BUDGET,
    ) -> SearchIndex:
        """Build from one row a phrasing: keys, texts and vectors, all (N,). Phrasings of one key may be in several languages.

        carried, row_ids: see Scorer and above; rows are then ordered by key, and vectors those of the new rows alone.
        """
        names = list(dict.fromkeys(keys))
        number = {key: entry for entry, key in enumerate(names)}
        owners: Rows = np.array([number[key] for key in keys], dtype=np.intp)
        scorer = Scorer(texts, vectors, owners, entries=len(names), parts=embedder.parts, carried=carried)
        return cls(names, scorer, embedder, calibration=calibration, topics=topics, row_ids=row_ids, error_budget=error_budget)

    @classmethod
    def from_faqs(
        cls, faqs: Iterable[Mapping[str, Any]], embedder: Embedder, *, error_budget: float = ERROR_BUDGET
    ) -> SearchIndex:
        """Build a scratch index from `{"key", "question", "phrasings", "category"?}` mappings; embeds everything."""
        said = list(faqs)
        rows = [(str(faq["key"]), text) for faq in said for text in dict.fromkeys([faq["question"], *faq.get("phrasings", [])])]
        texts = [text for _, text in rows]
        topics = {str(faq["key"]): str(faq.get("category") or "") for faq in said}
        vectors = embedder.encode(texts)
        return cls.from_phrasings([key for key, _ in rows], texts, vectors, embedder, topics=topics, error_budget=error_budget)

    def search(self, text: str, *, context: Sequence[str] = (), said: Sequence[str] = (), limit: int = 5) -> Found:
        """Rank the entries for a question.

        context: what the customer said before, newest last; it is read only where the text alone is weak. said: what both sides
        said before, newest last; it tells which of many alike categories is meant.
        """
        if not self.keys or not tokens(text):
            return Found(hits=(), confidence=0.0, form="alone", timings_ms={})
        started = time.monotonic()
        vectors = self.embedder.encode([text])
        embedded = time.monotonic()
        heard = self._topics.heard([*said, text]) if self._topics else None
        scores, form = _of_topic(self.scorer.score(vectors, [text]), heard), "alone"
        confidence = self._confidence(scores)
        if context and confidence < CONTEXT_BELOW:
            scores, form = self._in_context(scores, text, before=context[-1], heard=heard), "in_context"
            confidence = self._confidence(scores)
        return Found(
            hits=self._hits(scores, limit=limit),
            confidence=confidence,
            form="in_context" if form == "in_context" else "alone",
            timings_ms={
                "embed": round((embedded - started) * 1000, 2),
                "rank": round((time.monotonic() - embedded) * 1000, 2),
            },
        )

    def with_rivals(self, *, most: int, rivals: int) -> list[tuple[str, str, list[str]]]:
        """Phrasings, their own keys, and the keys that come first once that entry is taken away. Drawn the same each time.

        Only phrasings of entries that have several, and of these the ones that the search is not sure of without themselves, or
        that another entry might be taken for the answer to.
        """
        drawn = np.flatnonzero(self.scorer.counts[self.scorer.owners] > 1)
        found: list[tuple[str, str, list[str]]] = []
        for rows in np.array_split(np.random.default_rng(1).permutation(drawn), max(len(drawn) // _LEFT_OUT_BATCH, 1)):
            if not len(rows) or len(found) >= most or len(self.keys) < 2:
                break
            known = self.calibration.confidence(evidence_of(self.scorer.score_left_out(rows, whole=False)))
            without = self.scorer.score_left_out(rows, whole=True)
            unknown = self.calibration.confidence(evidence_of(without))
            for place in np.flatnonzero((known < DIRECT_AT) | (unknown > _RIVAL_AT)):
                own = int(self.scorer.owners[rows[place]])
                first = np.argsort(-without.fused[place], kind="stable")[:rivals]
                others = [self.keys[entry if entry < own else entry + 1] for entry in first]  # its own column is gone
                found.append((self.scorer.texts[rows[place]], self.keys[own], others))
        return found[:most]

    def _confidence(self, scores: Scores) -> float:
        return float(self.calibration.confidence(evidence_of(scores))[0])

    def _in_context(self, alone: Scores, text: str, *, before: str, heard: Matrix | None) -> Scores:
        joined_text = f"{before} {text}"
        both = _of_topic(self.scorer.score(self.embedder.encode([joined_text, before]), [joined_text, before]), heard)

        def mix(own: np.ndarray, read: np.ndarray) -> np.ndarray:
            return (1 - _CONTEXT_SHARE) * own + _CONTEXT_SHARE * read[:1]

        return Scores(
            fused=mix(alone.fused, both.fused) - _BEFORE_SHARE * both.fused[1:],
            likeness=mix(alone.likeness, both.likeness),
            head=mix(alone.head, both.head),
            kernel=mix(alone.kernel, both.kernel),
            lexical=mix(alone.lexical, both.lexical),
        )

    def _hits(self, scores: Scores, *, limit: int) -> tuple[Hit, ...]:
        fused = scores.fused[0]
        best = np.argsort(-fused, kind="stable")[:limit]
        return tuple(Hit(key=self.keys[entry], score=round(float(fused[entry]), 4)) for entry in best)


def _of_topic(scores: Scores, heard: Matrix | None) -> Scores:
    """The same scores where one of many alike categories was named: its entries win, and only they are rivals."""
    if heard is None:
        return scores
    loss = np.where(heard < heard.max(), np.float32(_OTHER_TOPIC_LOSS), np.float32(0))
    return replace(scores, fused=scores.fused + _TOPIC_WEIGHT * heard, likeness=scores.likeness - loss)
