"""Figures of a search over questions whose answers are known. Pure; the command and the benchmark share it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chatbot.engine.embedder import Embedder, Vectors
from chatbot.knowledge.search_index import Found, SearchIndex

# As many as MRR@10 needs.
RANKED = 10
_BATCH = 64


@dataclass(frozen=True)
class Outcome:
    """One question's result. expected: a key, or None when nothing answers it. decision: what would be done."""

    text: str
    expected: str | None
    found: Found
    decision: str

    @property
    def rank(self) -> int | None:
        """Where the expected key stands, from 1; None when it is not among the first ten."""
        return next((place for place, hit in enumerate(self.found.hits, start=1) if hit.key == self.expected), None)

    def as_line(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "expected": self.expected,
            "ranked": [{"key": hit.key, "score": hit.score} for hit in self.found.hits],
            "confidence": round(self.found.confidence, 4),
            "decision": self.decision,
        }


@dataclass(frozen=True)
class Figures:
    """Shares from 0 to 1. None where no question asks for it.

    null_auroc: how well confidence tells questions with an answer from those without. refused: of the latter, the share that
    got no answer (clarify or handoff). answered: all questions answered (direct or compose). wrong: of those, the share whose
    first entry is not the expected one. direct, wrong_direct: the same of what is quoted without the model. right_and_answered:
    of the questions with an answer, the share that is answered and whose first entry is the expected one.
    """

    questions: int
    recall_at_1: float | None
    recall_at_3: float | None
    recall_at_5: float | None
    mrr_at_10: float | None
    null_auroc: float | None
    refused: float | None
    accepted_at_95: float | None
    answered: float
    wrong: float | None
    direct: float
    wrong_direct: float | None
    right_and_answered: float | None


class RememberingEmbedder:
    """Embeds many texts at once beforehand, which is twice as fast as one by one. Other texts go to the embedder."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.name = embedder.name
        self.dimensions = embedder.dimensions
        self.parts = embedder.parts
        self._known: dict[str, Vectors] = {}

    def remember(self, texts: Iterable[str], *, progress: Callable[[int], object] | None = None) -> None:
        """Embed texts; progress is called with the number done since the last call."""
        new = sorted({text for text in texts if text not in self._known}, key=len)
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            self._known.update(zip(batch, self._embedder.encode(batch), strict=True))
            if progress:
                progress(len(batch))

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.remember(texts)
        return np.array([self._known[text] for text in texts], dtype=np.float32).reshape(len(texts), self.dimensions)


def search_as_served(index: SearchIndex, question: Mapping[str, Any]) -> Found:
    """Search a question, `{"text", "history"?}`, as the pipeline does."""
    said = [str(turn.get("text", "")) for turn in question.get("history") or []]
    return index.search(question["text"], context=said_before(question), said=said, limit=RANKED)


def read_questions(data: bytes) -> list[dict[str, Any]]:
    """Read question lines. Raises ValueError that names the line."""
    questions = []
    for number, line in enumerate(data.decode("utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            question = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {number} is not one JSON object") from error
        if not isinstance(question, dict) or not isinstance(question.get("text"), str):
            raise ValueError(f"line {number} has no text")
        if not isinstance(question.get("expected"), str | None):
            raise ValueError(f"line {number}: expected must be a key or null")
        questions.append(question)
    return questions


def said_before(question: Mapping[str, Any]) -> list[str]:
    """What the customer said before this question, oldest first."""
    return [turn["text"] for turn in question.get("history") or [] if turn.get("role") == "user"]


def figures_of(outcomes: Sequence[Outcome]) -> Figures:
    known = [outcome for outcome in outcomes if outcome.expected is not None]
    null = [outcome for outcome in outcomes if outcome.expected is None]
    answered = [outcome for outcome in outcomes if outcome.decision in ("direct", "compose")]
    direct = [outcome for outcome in outcomes if outcome.decision == "direct"]
    confident = [outcome.found.confidence for outcome in known]
    unconfident = [outcome.found.confidence for outcome in null]
    return Figures(
        questions=len(outcomes),
        recall_at_1=_mean([outcome.rank == 1 for outcome in known]),
        recall_at_3=_mean([outcome.rank is not None and outcome.rank <= 3 for outcome in known]),
        recall_at_5=_mean([outcome.rank is not None and outcome.rank <= 5 for outcome in known]),
        mrr_at_10=_mean([1 / outcome.rank if outcome.rank else 0.0 for outcome in known]),
        null_auroc=auroc(confident, unconfident),
        refused=_mean([outcome.decision not in ("direct", "compose") for outcome in null]),
        accepted_at_95=_accepted_at_95(confident, unconfident),
        answered=len(answered) / max(len(outcomes), 1),
        wrong=_mean([outcome.rank != 1 for outcome in answered]),
        direct=len(direct) / max(len(outcomes), 1),
        wrong_direct=_mean([outcome.rank != 1 for outcome in direct]),
        right_and_answered=_mean([outcome.rank == 1 and outcome.decision in ("direct", "compose") for outcome in known]),
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def auroc(higher: Sequence[float], lower: Sequence[float]) -> float | None:
    """The chance that a value of the first kind is above one of the second; ties count half."""
    if not higher or not lower:
        return None
    ordered = np.sort(np.array(lower))
    below = np.searchsorted(ordered, higher, side="left")
    not_above = np.searchsorted(ordered, higher, side="right")
    return float(np.mean((below + not_above) / 2) / len(lower))


def _accepted_at_95(confident: Sequence[float], unconfident: Sequence[float]) -> float | None:
    """The share of questions without an answer that a threshold lets through which keeps 95 % of the others."""
    if not confident or not unconfident:
        return None
    return float(np.mean(np.array(unconfident) >= np.quantile(confident, 0.05)))
