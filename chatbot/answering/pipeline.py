"""From a customer's message to an answer: understand, search, decide, then quote, compose, ask back or hand off.

Takes search and engine as they come, so it needs neither database nor model. It never raises for what a customer can cause,
and an engine that is busy or broken makes the answer plainer, not absent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from chatbot.answering.answers import Answer, AnswerKind, Citation, Match, Progress, Question, Ranking, Search, Titled, Waiting
from chatbot.answering.composing import Composed, Patience, compose
from chatbot.answering.decisions import decide
from chatbot.answering.grounding import Checker
from chatbot.answering.language import detect, same_language
from chatbot.answering.prompting import MAX_NEW_TOKENS, MAX_NEW_TOKENS_SEVERAL, Turn
from chatbot.answering.understanding import asks_for_person, points_back, split_questions
from chatbot.answering.wording import phrase, speaks
from chatbot.engine.requests import Engine, EngineError, FinishReason, GenerationOutput
from chatbot.knowledge.confidence import CLARIFY_AT, COMPOSE_AT

__all__ = ["Answer", "Citation", "Match", "Progress", "Question", "Ranking", "Search", "Turn", "Waiting", "answer"]

# A published text that answers is better now than reworded much later: from here on the queue is long.
QUEUE_PATIENCE_S = 20.0
# Who can be answered by the model only waits for it, but not so long that no time is left to write.
_WAITING_SHARE = 0.75
MAX_MATCHES = 5
MAX_CHOICES = 4
_CONTEXT_TURNS = 2
# From here on the model may try to answer a follow-up: it has the history before its eyes, which the search has not.
_FOLLOW_UP_AT = (CLARIFY_AT + COMPOSE_AT) / 2
# Entries that score less than this share of the first are not shown to the model: on the demo questions two in three prompts
# then hold one passage, which halves the wait, and small models answer from the wrong one less often.
_CLOSE_SHARE = 0.7


@dataclass
class _Work:
    """One question on its way.

    sources: the entries the answer is to come from, best first. several: each answers another question of the message; all_sure:
    every one of them by itself. unknown: the customer's questions to which no entry was found, while others were.
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
    trace: dict[str, Any] = field(default_factory=dict)

    @property
    def confidence(self) -> float:
        return self.ranking.confidence if self.ranking and self.ranking.matches else 0.0

    @property
    def passages(self) -> Sequence[Match]:
        """The sources worth the model's time."""
        if self.several or not self.sources:
            return self.sources
        return [match for match in self.sources if match.score >= _CLOSE_SHARE * self.sources[0].score] or self.sources[:1]

    @property
    def same_language(self) -> bool:
        return bool(self.sources) and same_language(self.sources[0].locale, self.language)


def answer(
    question: Question, *, search: Search, engine: Engine, should_stop: Callable[[], bool]
) -> Iterator[Progress | Waiting | Answer]:
    """Answer one message; the last item is the Answer.

    1. Tell the language; hand off at once when a person is asked for.
    2. Search: the message, and where it helps its separate questions or what was said before.
    3. Decide.
    4. Quote the published answer, compose, ask back or hand off.
    """
    work = _Work(question, language=detect(question.text, fallback=question.locale), started=time.monotonic())
    if asks_for_person(question.text):
        work.reason = "asked"
        yield _end(work, text=phrase("person", language=work.language))
        return
    _search(work, search)
    _decide(work)
    if work.decision == "compose":
        yield from _compose(work, engine=engine, should_stop=should_stop)
    else:
        yield _without_model(work)


def _search(work: _Work, search: Search) -> None:
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
    work.trace["search_ms"] = _ms_since(begun)
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


def _search_parts(work: _Work, parts: Sequence[str], search: Search) -> None:
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


def _decide(work: _Work) -> None:
    """Choose the kind of answer; a published text is quoted only where it can stand as the whole answer."""
    decision = decide(work.confidence) if work.sources else "handoff"
    follow_up = bool(work.question.history) and points_back(work.question.text)
    if work.several:
        decision, work.reason = ("direct" if work.all_sure else "compose"), "several_questions"
    elif work.all_sure:  # of one entry: the question is put in two ways
        decision, work.reason = "direct", "confident"
    elif follow_up and decision != "direct" and work.confidence >= _FOLLOW_UP_AT:
        decision, work.reason = "compose", "follow_up"
    elif decision == "direct" and not work.same_language:
        decision, work.reason = "compose", "other_language"
    else:
        work.reason = {"direct": "confident", "compose": "moderate", "clarify": "unsure", "handoff": "unknown"}[decision]
    work.decision = decision


def _without_model(work: _Work) -> Answer:
    if work.decision == "direct":
        return _quote(work, work.sources if work.several else work.sources[:1])
    if work.decision == "clarify":
        return _end(work, text=phrase("clarify", language=work.language), choices=_choices(work, among=work.sources))
    return _end(work, text=_unknown_text(work))


def _choices(work: _Work, *, among: Sequence[Match]) -> tuple[str, ...]:
    """The questions to offer, in the customer's language where there are any."""
    own = [match for match in among if same_language(match.locale, work.language)]
    return tuple(dict.fromkeys(match.question for match in own or among))[:MAX_CHOICES]


def _compose(work: _Work, *, engine: Engine, should_stop: Callable[[], bool]) -> Iterator[Progress | Waiting | Answer]:
    composed = None
    first_text_at = None
    try:
        steps = compose(
            work.question,
            matches=work.passages,
            language=work.language,
            engine=engine,
            should_stop=should_stop,
            deadline_at=work.started + work.question.deadline_s,
            patience=_patience(work),
            max_new_tokens=MAX_NEW_TOKENS_SEVERAL if work.several else MAX_NEW_TOKENS,
        )
        for step in steps:
            if isinstance(step, Composed):
                composed = step
            else:
                first_text_at = first_text_at or (time.monotonic() if isinstance(step, Progress) else None)
                yield step
    except EngineError as error:
        yield _fall_back(work, reason=error.code)
        return
    assert composed is not None  # compose always ends with it
    work.trace.update(_trace_of(composed))
    yield _ended(work, composed, ttft_ms=None if first_text_at is None else (first_text_at - work.started) * 1000)


def _patience(work: _Work) -> Patience:
    """Wait for a busy model only as long as that serves the customer better than the source's own text.

    Where that text can stand as the answer, in the customer's language: not at all for a model that takes no request, and not
    long in its queue. Else the model's words are the only answer there is, so the customer waits and sees the place in the queue.
    """
    limit_s = work.question.deadline_s * _WAITING_SHARE
    if _is_confident(work) and work.same_language:
        return Patience(refused_s=0.0, begin_s=min(QUEUE_PATIENCE_S, limit_s))
    return Patience(refused_s=limit_s, begin_s=limit_s)


def _is_confident(work: _Work) -> bool:
    return work.several or decide(work.confidence) in ("direct", "compose")


def _ended(work: _Work, composed: Composed, *, ttft_ms: float | None) -> Answer:
    """Turn what the model wrote, or did not, into the answer."""
    output = composed.output
    if composed.outcome in ("written", "cancelled"):
        finish = output.finish_reason
        if finish == "cancelled" and composed.outcome == "written":
            finish = "stop"  # we stopped at NO_ANSWER after some text; the customer did not
        citations = [
            _citation(match, number=number, quotes=composed.quotes_of(number)) for number, match in composed.cited.items()
        ]
        text = _with_unknown(work, composed.text) if composed.outcome == "written" else composed.text
        return _end(work, text=text, citations=citations, output=output, finish_reason=finish, ttft_ms=ttft_ms)
    if composed.outcome == "no_answer":
        return _declined(work, output=output)
    # What was cancelled in the queue has written nothing that could tell which source to quote.
    return _fall_back(work, reason=composed.outcome, composed=None if composed.outcome == "queue_long" else composed)


def _declined(work: _Work, *, output: GenerationOutput) -> Answer:
    """The model found no answer in the passages. Where the search was sure, its entry is shown all the same.

    Else nothing is known: that is said, and what the model was given is offered, in case it declined too soon.
    """
    work.trace["fallback"] = "model_declined"
    if decide(work.confidence) == "direct" and not work.several:
        return _quote(work, work.sources[:1], output=output)
    work.decision, work.reason = "handoff", "model_declined"
    return _end(work, text=_unknown_text(work), choices=_choices(work, among=work.passages), output=output)


def _fall_back(work: _Work, *, reason: str, composed: Composed | None = None) -> Answer:
    """Answer without the model's words: the source's own text where the search is sure enough, else a question back."""
    work.trace["fallback"] = reason
    if not _is_confident(work):
        work.decision = "clarify"
        return _without_model(work)
    if composed is None:
        work.decision = "direct"
    return _quote(work, _best_sources(work, composed), output=composed.output if composed else None)


def _best_sources(work: _Work, composed: Composed | None) -> Sequence[Match]:
    """The entries to quote: all of several questions, what the model cited, or what its words came from; else the first."""
    if work.several:
        return work.sources
    if composed is None:
        return work.sources[:1]
    if composed.cited:
        return list(composed.cited.values())[:1]
    words = " ".join(item["sentence"] for item in composed.withheld)
    return [work.passages[Checker([match.answer for match in work.passages]).source_of(words)]]


def _quote(work: _Work, matches: Sequence[Match], *, output: GenerationOutput | None = None) -> Answer:
    """The published answers, word for word; in another language they are announced as such."""
    parts = []
    for match in matches:
        foreign = not same_language(match.locale, work.language)
        intro = phrase("source", language=work.language, of_language=match.locale) + "\n\n" if foreign else ""
        parts.append(intro + match.answer)
    citations = [_citation(match, number=number) for number, match in enumerate(matches, start=1)]
    return _end(work, text=_with_unknown(work, "\n\n".join(parts)), citations=citations, output=output)


def _with_unknown(work: _Work, text: str) -> str:
    """Say that a part of the message stays without an answer, rather than pass it over."""
    return f"{text}\n\n{phrase('partly', language=work.language)}" if work.unknown else text


def _end(
    work: _Work,
    *,
    text: str,
    citations: Sequence[Citation] = (),
    choices: tuple[str, ...] = (),
    output: GenerationOutput | None = None,
    finish_reason: FinishReason = "stop",
    ttft_ms: float | None = None,
) -> Answer:
    total_ms = _ms_since(work.started)
    trace = {"decision": work.decision, "reason": work.reason, "language": work.language, **work.trace, "total_ms": total_ms}
    return Answer(
        text=text,
        decision=work.decision,
        language=work.language,
        citations=tuple(citations),
        choices=choices,
        trace=trace,
        finish_reason=finish_reason,
        prompt_tokens=output.prompt_tokens if output else 0,
        completion_tokens=output.completion_tokens if output else 0,
        ttft_ms=total_ms if ttft_ms is None and text else ttft_ms,
        model_version=output.model_version if output else "",
    )


def _trace_of(composed: Composed) -> dict[str, Any]:
    output = composed.output
    return {
        "outcome": composed.outcome,
        "withheld": composed.withheld,
        "support": composed.support,
        "finish_reason": output.finish_reason,
        "error_code": output.error_code,
        "model": output.model_version,
        "prompt_tokens": output.prompt_tokens,
        "reused_tokens": output.reused_tokens,
        "completion_tokens": output.completion_tokens,
        "tokens_per_s": round(output.tokens_per_s, 1),
        "queued_ms": round(output.queued_ms, 1),
        "model_ttft_ms": None if output.ttft_ms is None else round(output.ttft_ms, 1),
        "model_ms": round(output.total_ms, 1),
    }


def _unknown_text(work: _Work) -> str:
    """The company's own words in the customer's language, else ours in it, else the company's English ones."""
    company, language = work.question.company, work.language
    own = {**company.unknown}
    if language in own or language.split("-")[0] in own or not speaks(language):
        return company.text("unknown", locale=language)
    return phrase("unknown", language=language)


def _citation(match: Match, *, number: int, quotes: tuple[str, ...] = ()) -> Citation:
    title = match.title if isinstance(match, Titled) else match.question
    return Citation(number=number, key=match.key, title=title, faq_id=match.faq_id, revision=match.revision, quotes=quotes)


def _ms_since(moment: float) -> float:
    return round((time.monotonic() - moment) * 1000, 1)
