"""Say in plain words how an answer came about, from the trace that the pipeline kept with it.

Traces are kept for ever and older ones may lack what newer ones have; what is not there is not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chatbot.conversations.models import Generation

_DECISIONS = {
    "direct": "Quoted a published answer",
    "compose": "Composed by the model from what was found",
    "clarify": "Asked back which question is meant",
    "handoff": "Offered a person",
}
_REASONS = {
    "asked": "The customer asked for a person.",
    "confident": "The search is sure of the first FAQ, so its answer was given word for word.",
    "moderate": "The search is fairly sure, but not enough to quote one FAQ as the whole answer.",
    "unsure": "Several FAQs could be meant and none clearly.",
    "unknown": "No FAQ is likely to answer this.",
    "several_questions": "The message holds several questions that different FAQs answer.",
    "follow_up": "The message goes on from what was said before, so no FAQ fits it word for word.",
    "other_language": "The best FAQ is written in another language than the customer's.",
    "model_declined": "The model found no answer in the passages it was given.",
    "looked_sure": "The search was unsure; the model read the closest FAQs and is sure that this one answers.",
    "looked_likely": "The search was unsure; the model read the closest FAQs and takes these for likely.",
    "looked_unlikely": "The search was unsure; the model read the closest FAQs and takes none of them for an answer.",
}
_FALLBACKS = {
    "model_declined": "The model found no answer in the passages it was given.",
    "withheld": "What the model wrote could not be verified, so the source's own text was shown instead.",
    "failed": "The model failed, so the source's own text was shown instead.",
    "engine_busy": "The model was full and took no more work, so the answer came without it.",
    "queue_long": "The model's queue was long, so the source's own text was shown instead of a later answer.",
}
_FAULTS = {
    "image": "contains an image or a page element",
    "no_answer": "says that there is no answer",
    "instructions": "repeats the bot's instructions",
    "off_topic": "is not about the passages it was given",
}


@dataclass(frozen=True)
class Passage:
    key: str
    locale: str
    score: float


@dataclass(frozen=True)
class Withheld:
    sentence: str
    faults: list[str]


@dataclass(frozen=True)
class Why:
    """One attempt, explained. measures: (name, value with its unit), in the order of time."""

    generation: Generation
    decision: str
    reasons: list[str]
    confidence_percent: float | None
    passages: list[Passage]
    withheld: list[Withheld]
    measures: list[tuple[str, str]]
    # What the model was given, message by message; nothing where no model was asked, or its trace is older than this.
    prompt: list[tuple[str, str]]
    # (sentence's statement in the source, key, revision) for each verified sentence.
    support: list[dict[str, Any]]


def explain(generation: Generation) -> Why:
    trace: dict[str, Any] = generation.trace
    looks = trace.get("looks")  # who has read the FAQs knows better than the search, which only compared words
    confidence = looks[0]["confidence"] if looks else trace.get("confidence")
    return Why(
        generation=generation,
        decision=_DECISIONS.get(generation.decision, generation.get_status_display()),
        reasons=_reasons(trace),
        confidence_percent=None if confidence is None else round(float(confidence) * 100, 1),
        passages=[Passage(row["key"], row.get("locale", ""), row["score"]) for row in trace.get("ranked", [])],
        withheld=[
            Withheld(row["sentence"], [fault_in_words(reason) for reason in row["reasons"]]) for row in trace.get("withheld", [])
        ],
        measures=_measures(generation, trace),
        prompt=[(str(part.get("role", "")), str(part.get("content", ""))) for part in trace.get("prompt", [])],
        support=[item for item in trace.get("support", []) if item.get("quote")],
    )


def explain_all(generations: Sequence[Generation]) -> list[Why]:
    return [explain(generation) for generation in generations]


def fault_in_words(reason: str) -> str:
    """For example "fact:amount:€ 30" becomes: amount “€ 30” is in no source."""
    name, _, rest = reason.partition(":")
    if name == "fact":
        kind, _, text = rest.partition(":")
        return f"{kind} “{text}” is in no source"
    if name == "language":
        return f"is not in the customer's language, but in “{rest}”"
    return _FAULTS.get(name, name.replace("_", " "))


def _reasons(trace: dict[str, Any]) -> list[str]:
    reason, fallback = trace.get("reason", ""), trace.get("fallback", "")
    said = [_REASONS.get(reason, reason)] if reason else []
    if fallback and fallback != reason:
        said.append(_FALLBACKS.get(fallback, f"The model could not be used ({fallback}), so the answer came without it."))
    return said


def _measures(generation: Generation, trace: dict[str, Any]) -> list[tuple[str, str]]:
    waited_ms = (generation.started_at - generation.created_at).total_seconds() * 1000 if generation.started_at else None
    steps = trace.get("search_steps_ms", {})
    search = ", ".join(f"{name} {_ms(value)}" for name, value in steps.items())
    measures = [
        ("Waited for a worker", _ms(waited_ms)),
        ("Search", _ms(trace.get("search_ms")) + (f" ({search})" if search else "")),
        ("Waited in the model's queue", _ms(trace.get("queued_ms"))),
        ("Model's first token", _ms(trace.get("model_ttft_ms"))),
        ("Model altogether", _ms(trace.get("model_ms"))),
        ("First text to the customer", _ms(generation.ttft_ms)),
        ("Altogether", _ms(generation.total_ms)),
        ("Worker", trace.get("worker", "")),
        ("Model version", generation.model_version),
        ("Tokens", _tokens(generation, trace)),
        ("Writing speed", f"{trace['tokens_per_s']:.1f} tokens/s" if trace.get("tokens_per_s") else ""),
        ("Language", trace.get("language", "")),
        ("Ended by", generation.finish_reason),
        ("Error", generation.error or trace.get("error_code") or ""),
    ]
    return [(name, value) for name, value in measures if value]


def _tokens(generation: Generation, trace: dict[str, Any]) -> str:
    if not generation.prompt_tokens:
        return ""
    reused = trace.get("reused_tokens")
    return f"{generation.prompt_tokens} read{f' ({reused} reused)' if reused else ''}, {generation.completion_tokens} written"


def _ms(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.0f} ms"
