"""What is known of one question on its way: what the search finds for it, alone and in its parts, and what follows from that."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from chatbot.answering.answers import AnswerKind, Match, Question, Ranking, Search
from chatbot.answering.decisions import decide
from chatbot.answering.language import same_language
from chatbot.answering.understanding import points_back, split_questions
from chatbot.knowledge.confidence import CLARIFY_AT, COMPOSE_AT, DIRECT_AT

MAX_MATCHES = 5
_CONTEXT_TURNS = 2
# From here on the model may try to answer a follow-up: it has the history before its eyes, which the search has not.
_FOLLOW_UP_AT = (CLARIFY_AT + COMPOSE_AT) / 2
# Entries that score less than this share of the first are not shown to the model: on the demo questions two in three prompts
# then hold one passage, which halves the wait, and small models answer from the wrong one less often.
_CLOSE_SHARE = 0.7


@dataclass
class Work:
    """One question on its way.

    sources: the entries the answer is to come from, best first. several: each answers another question of the message; all_sure:
    every one of them by itself. unknown: the customer's questions to which no entry was found, while others were. looked: the
    confidence after the second look, which has then chosen the sources.
    """

    question: Question
    language: str
    started: float
    ranking: Ranking | None = None
    sources: Sequence[Match] = ()
    decision: AnswerKind = "handoff"
    reason: str = ""
    several: bool = False
    all_sure: bool = False
    unknown: Sequence[str] = ()
    looked: float | None = None
    trace: dict[str, Any] = field(default_factory=dict)

    @property
    def confidence(self) -> float:
        return self.searched if self.looked is None else self.looked

    @property
    def searched(self) -> float:
        """What the search alone was confident of."""
        return self.ranking.confidence if self.ranking and self.ranking.matches else 0.0

    @property
    def passages(self) -> Sequence[Match]:
        """The sources worth the model's time."""
        if self.several or not self.sources or self.looked is not None:
            return self.sources
        return [match for match in self.sources if match.score >= _CLOSE_SHARE * self.sources[0].score] or self.sources[:1]

    @property
    def same_language(self) -> bool:
        return bool(self.sources) and same_language(self.sources[0].locale, self.language)


def find(work: Work, search: Search) -> None:
    """Find the entries the answer may come from, and note how."""
    question = work.question
    before = _said_before(question)
    begun = time.monotonic()
    ranking = search(question.text, locale=work.language, limit=MAX_MATCHES, context=before, said=_said(question))
    work.ranking, work.sources = ranking, ranking.matches
    parts = split_questions(question.text)
    if len(parts) > 1:
        _search_parts(work, parts, search)
    work.trace["ranked"] = [{"key": m.key, "locale": m.locale, "score": round(float(m.score), 4)} for m in ranking.matches]
    work.trace["confidence"] = round(float(work.confidence), 4)
    work.trace["search_ms"] = ms_since(begun)
    work.trace["search_steps_ms"] = dict(ranking.timings_ms)
    work.trace["form"] = ranking.form


def _said(question: Question) -> tuple[str, ...]:
    return tuple(turn.text for turn in question.history)


def _said_before(question: Question) -> tuple[str, ...]:
    """What the customer said last. Messages that no answer has followed yet are one: people write a thought in three lines."""
    spoken: list[str] = []
    previous = ""
    for turn in question.history:
        if turn.role == "user" and previous == "user":
            spoken[-1] = f"{spoken[-1]} {turn.text}"
        elif turn.role == "user":
            spoken.append(turn.text)
        previous = turn.role
    return tuple(spoken[-_CONTEXT_TURNS:])


def _search_parts(work: Work, parts: Sequence[str], search: Search) -> None:
    """Search each question of a message; where they lead to different entries, the answer needs them all."""
    found: dict[str, Match] = {}
    sure: list[bool] = []
    unknown: list[str] = []
    for part in parts:
        ranking = search(part, locale=work.language, limit=1, said=_said(work.question))
        decision = decide(ranking.confidence) if ranking.matches else "handoff"
        if decision in ("direct", "compose"):
            found.setdefault(ranking.matches[0].key, ranking.matches[0])
            sure.append(decision == "direct" and same_language(ranking.matches[0].locale, work.language))
        elif decision == "handoff" and part.endswith(("?", "？", "؟")):
            unknown.append(part)
    work.trace["questions"] = len(parts)
    work.trace["parts"] = {"sure": sum(sure), "found": len(found), "unknown": len(unknown)}
    work.all_sure = bool(sure) and all(sure) and len(sure) + len(unknown) == len(parts)
    work.several = len(found) > 1 or bool(found and unknown)
    if work.several or work.all_sure:
        work.sources, work.unknown = list(found.values()), unknown


def decide_kind(work: Work) -> None:
    """Choose the kind of answer; a published text is quoted only where it can stand as the whole answer."""
    decision = decide(work.confidence) if work.sources else "handoff"
    follow_up = bool(work.question.history) and points_back(work.question.text)
    if work.several:
        quotable = work.all_sure and work.question.may_quote
        decision, work.reason = ("direct" if quotable else "compose"), "several_questions"
    elif work.all_sure and work.question.may_quote:  # of one entry: the question is put in two ways
        decision, work.reason = "direct", "confident"
    elif follow_up and decision != "direct" and work.confidence >= _FOLLOW_UP_AT:
        decision, work.reason = "compose", "follow_up"
    elif decision == "direct" and not work.same_language:
        decision, work.reason = "compose", "other_language"
    elif decision == "direct" and not work.question.may_quote:
        decision, work.reason = "compose", "moderate"
    else:
        work.reason = {"direct": "confident", "compose": "moderate", "clarify": "unsure", "handoff": "unknown"}[decision]
    work.decision = decision


def decide_looked(work: Work, seen: Sequence[Match], confidences: Sequence[float]) -> None:
    """Decide by what search and model together know of each entry, best first.

    What is likely is quoted like what is sure: asked to write from such an entry, a small model declines half of those that
    answer and few of the others. It writes what cannot be quoted: another language's texts, and documents, which read badly.
    """
    work.looked = confidences[0]
    close = [match for match, one in zip(seen, confidences, strict=True) if one >= _CLOSE_SHARE * confidences[0]]
    quotable = same_language(seen[0].locale, work.language) and work.question.may_quote and seen[0].faq_id is not None
    if work.looked < COMPOSE_AT:
        # The model has read the closest entries: asking back would only make the customer say no as well.
        work.decision, work.reason = "handoff", "looked_unlikely"
        work.sources = list(seen)  # all of them are worth offering when none is sure
    else:
        work.decision = "direct" if quotable else "compose"
        work.reason = "looked_sure" if quotable and work.looked >= DIRECT_AT else "looked_likely"
        work.sources = close[:1] if quotable or work.looked >= DIRECT_AT else close


def ms_since(moment: float) -> float:
    return round((time.monotonic() - moment) * 1000, 1)
