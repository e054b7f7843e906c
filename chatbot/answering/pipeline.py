"""From a customer's message to an answer: understand, search, decide, then quote, compose, ask back or hand off.

Takes search and engine as they come, so it needs neither database nor model. It never raises for what a customer can cause,
and an engine that is busy or broken makes the answer plainer, not absent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from chatbot.answering.answers import Answer, Citation, Match, Progress, Question, Ranking, Search, Titled, Waiting
from chatbot.answering.asking import Patience, TooLong
from chatbot.answering.composing import Composed, compose
from chatbot.answering.decisions import decide
from chatbot.answering.finding import Work, decide_kind, decide_looked, find, ms_since
from chatbot.answering.grounding import Checker
from chatbot.answering.language import detect, same_language
from chatbot.answering.prompting import MAX_NEW_TOKENS, MAX_NEW_TOKENS_SEVERAL, Turn
from chatbot.answering.second_look import MAX_LOOKS, Told, just_said, look_at_each, looked_confidences
from chatbot.answering.understanding import asks_for_person
from chatbot.answering.wording import phrase, speaks
from chatbot.engine.requests import Engine, EngineError, FinishReason, GenerationOutput
from chatbot.knowledge.confidence import CLARIFY_AT, COMPOSE_AT, DIRECT_AT

__all__ = ["Answer", "Citation", "Match", "Progress", "Question", "Ranking", "Search", "Turn", "Waiting", "answer"]

# A published text that answers is better now than reworded much later: from here on the queue is long.
QUEUE_PATIENCE_S = 20.0
# Who can be answered by the model only waits for it, but not so long that no time is left to write.
_WAITING_SHARE = 0.75
MAX_CHOICES = 4
# Below this even the model finds nothing among what was found: the demo's questions that something answers lie above.
LOOK_FROM = 0.10


def answer(
    question: Question, *, search: Search, engine: Engine, should_stop: Callable[[], bool]
) -> Iterator[Progress | Waiting | Answer]:
    """Answer one message; the last item is the Answer.

    1. Tell the language; hand off at once when a person is asked for.
    2. Search: the message, and where it helps its separate questions or what was said before.
    3. Decide; where the search is not sure, let the model look at what was found.
    4. Quote the published answer, compose, ask back or hand off.
    """
    work = Work(question, language=detect(question.text, fallback=question.locale), started=time.monotonic())
    if asks_for_person(question.text):
        work.reason = "asked"
        yield _end(work, text=phrase("person", language=work.language))
        return
    find(work, search)
    decide_kind(work)
    if wants_second_look(work):
        ended = yield from _look_again(work, engine=engine, should_stop=should_stop)
        if ended:
            yield ended
            return
    if work.decision == "compose":
        yield from _compose(work, engine=engine, should_stop=should_stop)
    else:
        yield _without_model(work)


def wants_second_look(work: Work) -> bool:
    """Whether the model shall judge what was found: the search neither knows it surely nor parts the message into questions."""
    if not work.question.second_look or not work.sources or work.several or work.all_sure:
        return False
    return LOOK_FROM <= work.confidence < DIRECT_AT


def _look_again(work: Work, *, engine: Engine, should_stop: Callable[[], bool]) -> Generator[Waiting, None, Answer | None]:
    """Let the model judge the first entries, and decide anew. Returns an answer only where it could not, or must not, go on."""
    begun = time.monotonic()
    seen = work.sources[:MAX_LOOKS]
    told: Told | None = None
    steps = look_at_each(
        work.question,
        matches=seen,
        engine=engine,
        should_stop=should_stop,
        deadline_at=work.started + work.question.deadline_s,
        patience=_patience(work),
    )
    try:
        for step in steps:
            if isinstance(step, TooLong):
                return _fall_back(work, reason="queue_long")
            if isinstance(step, Waiting):
                yield step
            else:
                told = step
    except EngineError as error:
        return _fall_back(work, reason=error.code)
    if told is None:
        return _end(work, text="", finish_reason="cancelled")
    if all(one is None for one in told.likelihoods):
        return None  # no word of the model: the search's decision stands
    found = looked_confidences(
        told,
        scores=[match.score for match in seen],
        confidence=work.confidence,
        said=[just_said(work.question, match) for match in seen],
    )
    order = sorted(range(len(seen)), key=lambda index: -found[index])
    yes = [None if one is None else round(one, 3) for one in told.likelihoods]
    work.trace["looks"] = [{"key": seen[i].key, "yes": yes[i], "confidence": round(found[i], 3)} for i in order]
    work.trace["look_ms"] = ms_since(begun)
    decide_looked(work, [seen[index] for index in order], [found[index] for index in order])
    return None


def _without_model(work: Work) -> Answer:
    if work.decision == "direct":
        return _quote(work, work.sources if work.several else work.sources[:1])
    if work.decision == "clarify" and (choices := _choices(work, among=work.sources)):
        return _end(work, text=phrase("clarify", language=work.language), choices=choices)
    work.decision = "handoff"
    # What the model has looked at and not taken may still be what was meant: it trips over misspelt words, the search does not.
    near = work.looked is not None and (work.looked >= CLARIFY_AT or work.searched >= COMPOSE_AT)
    close = work.sources if near else ()
    return _know_nothing(work, among=close)


def _know_nothing(work: Work, *, among: Sequence[Match], output: GenerationOutput | None = None) -> Answer:
    """Say so and offer a person, and what comes near: then it would be wrong that nothing is known about it."""
    choices = _choices(work, among=among)
    text = phrase("close", language=work.language) if choices else _unknown_text(work)
    return _end(work, text=text, choices=choices, output=output)


def _choices(work: Work, *, among: Sequence[Match]) -> tuple[str, ...]:
    """The questions to offer, in the customer's language where there are any; headings of documents are no questions."""
    faqs = [match for match in among if match.faq_id is not None]
    own = [match for match in faqs if same_language(match.locale, work.language)]
    return tuple(dict.fromkeys(match.question for match in own or faqs))[:MAX_CHOICES]


def _compose(work: Work, *, engine: Engine, should_stop: Callable[[], bool]) -> Iterator[Progress | Waiting | Answer]:
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


def _patience(work: Work) -> Patience:
    """Wait for a busy model only as long as that serves the customer better than the source's own text.

    Where that text can stand as the answer, a FAQ's in the customer's language: not at all for a model that takes no request, and
    not long in its queue. Else the model's words are the only answer there is, so the customer waits and sees the place there.
    """
    limit_s = work.question.deadline_s * _WAITING_SHARE
    is_faq = bool(work.sources) and work.sources[0].faq_id is not None
    if _is_confident(work) and work.same_language and is_faq and not work.question.patient:
        return Patience(refused_s=0.0, begin_s=min(QUEUE_PATIENCE_S, limit_s))
    return Patience(refused_s=limit_s, begin_s=limit_s)


def _is_confident(work: Work) -> bool:
    return work.several or decide(work.confidence) in ("direct", "compose")


def _ended(work: Work, composed: Composed, *, ttft_ms: float | None) -> Answer:
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


def _declined(work: Work, *, output: GenerationOutput) -> Answer:
    """The model found no answer in the passages. Where the search was sure, its entry is shown all the same.

    Else nothing is known: that is said, and what the model was given is offered, in case it declined too soon.
    """
    work.trace["fallback"] = "model_declined"
    if decide(work.confidence) == "direct" and not work.several:
        return _quote(work, work.sources[:1], output=output)
    work.decision, work.reason = "handoff", "model_declined"
    return _know_nothing(work, among=work.passages, output=output)


def _fall_back(work: Work, *, reason: str, composed: Composed | None = None) -> Answer:
    """Answer without the model's words: the source's own text where the search is sure enough, else a question back."""
    work.trace["fallback"] = reason
    if not _is_confident(work):
        work.decision = "clarify"
        return _without_model(work)
    if composed is None:
        work.decision = "direct"
    return _quote(work, _best_sources(work, composed), output=composed.output if composed else None)


def _best_sources(work: Work, composed: Composed | None) -> Sequence[Match]:
    """The entries to quote: all of several questions, what the model cited, or what its words came from; else the first."""
    if work.several:
        return work.sources
    if composed is None:
        return work.sources[:1]
    if composed.cited:
        return list(composed.cited.values())[:1]
    words = " ".join(item["sentence"] for item in composed.withheld)
    return [work.passages[Checker([match.answer for match in work.passages]).source_of(words)]]


def _quote(work: Work, matches: Sequence[Match], *, output: GenerationOutput | None = None) -> Answer:
    """The published answers, word for word; in another language they are announced as such."""
    parts = []
    for match in matches:
        foreign = not same_language(match.locale, work.language)
        intro = phrase("source", language=work.language, of_language=match.locale) + "\n\n" if foreign else ""
        parts.append(intro + match.answer)
    citations = [_citation(match, number=number) for number, match in enumerate(matches, start=1)]
    return _end(work, text=_with_unknown(work, "\n\n".join(parts)), citations=citations, output=output)


def _with_unknown(work: Work, text: str) -> str:
    """Say that a part of the message stays without an answer, rather than pass it over."""
    return f"{text}\n\n{phrase('partly', language=work.language)}" if work.unknown else text


def _end(
    work: Work,
    *,
    text: str,
    citations: Sequence[Citation] = (),
    choices: tuple[str, ...] = (),
    output: GenerationOutput | None = None,
    finish_reason: FinishReason = "stop",
    ttft_ms: float | None = None,
) -> Answer:
    total_ms = ms_since(work.started)
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
        "prompt": [{"role": message.role, "content": message.content} for message in composed.prompt],
    }


def _unknown_text(work: Work) -> str:
    """The company's own words in the customer's language, else ours in it, else the company's English ones."""
    company, language = work.question.company, work.language
    own = {**company.unknown}
    if language in own or language.split("-")[0] in own or not speaks(language):
        return company.text("unknown", locale=language)
    return phrase("unknown", language=language)


def _citation(match: Match, *, number: int, quotes: tuple[str, ...] = ()) -> Citation:
    title = match.title if isinstance(match, Titled) else match.question
    return Citation(number=number, key=match.key, title=title, faq_id=match.faq_id, revision=match.revision, quotes=quotes)
