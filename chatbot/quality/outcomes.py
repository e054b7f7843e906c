"""What a tried question came to, and how two outcomes of it differ. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from chatbot.answering.facts import extract
from chatbot.quality.judging import GOOD, Verdict, judge
from chatbot.quality.trying import Tried


@dataclass(frozen=True)
class Outcome:
    """keys: of the FAQs the answer cites, quotes or, where only the decision was made, would be composed from."""

    decision: str
    verdict: Verdict
    keys: tuple[str, ...]
    confidence: float
    answer: str = ""
    ttft_s: float | None = None
    total_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"keys": list(self.keys)}


def outcome_of(tried: Tried, *, planned: bool = False) -> Outcome:
    """planned: only the decision was made. A quoted answer is known all the same, a composed one is not."""
    composed = tried.decision == "compose"
    keys = tuple(dict.fromkeys(m.key for m in tried.sources) if planned and composed else dict.fromkeys(tried.cited_keys))
    asked = tried.asked
    return Outcome(
        decision=tried.decision,
        verdict=judge(expected=asked.expected, judged=asked.judged, decision=tried.decision, keys=keys),
        keys=keys or tuple(tried.found_keys[:1] if tried.decision == "clarify" else ()),
        confidence=round(tried.confidence, 4),
        answer="" if planned and composed else tried.answer.text,
        ttft_s=None if planned or tried.answer.ttft_ms is None else round(tried.answer.ttft_ms / 1000, 3),
        total_s=round(tried.total_s, 3),
    )


def change_between(before: Outcome, after: Outcome) -> str:
    """fixed: right only now; broken: right only before; changed: another decision, source, quoted text, or other facts in a
    written one; reworded: written in other words; same."""
    if (before.verdict in GOOD) != (after.verdict in GOOD):
        return "fixed" if after.verdict in GOOD else "broken"
    if (before.decision, before.keys[:1]) != (after.decision, after.keys[:1]):
        return "changed"
    if before.answer == after.answer or after.decision not in ("direct", "compose"):
        return "same"
    return "changed" if after.decision == "direct" or not _state_the_same(before.answer, after.answer) else "reworded"


def _state_the_same(one: str, other: str) -> bool:
    here, there = ([fact.values for fact in extract(text)] for text in (one, other))
    return all(any(fact & same for same in there) for fact in here) and all(any(fact & same for same in here) for fact in there)


def counts(changes: Iterable[str]) -> dict[str, int]:
    found = {"fixed": 0, "broken": 0, "changed": 0, "reworded": 0, "same": 0}
    for change in changes:
        if change in found:
            found[change] += 1
    return found
