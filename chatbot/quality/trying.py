"""Answer one question apart from any conversation, by the pipeline that serves chat, and keep how it came about."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from chatbot import runtime
from chatbot.answering import pipeline
from chatbot.answering.answers import Answer, Match, Question, Search
from chatbot.answering.second_look import is_look
from chatbot.company import Company
from chatbot.engine.requests import ChatMessage, Engine, EngineError
from chatbot.quality.asked import Asked, turns_as_json
from chatbot.quality.watching import PlanningEngine, WatchedEngine, WatchedSearch

# A run over many questions may wait longer for its turn than a customer may.
PATIENT_DEADLINE_S = 600.0
# Why the model was not asked: nothing of the question's own. Another attempt cures the first two.
_CROWDED = frozenset({"engine_busy", "queue_long"})
_NO_MODEL = _CROWDED | {"unknown_version", "engine_stopped"}
_ATTEMPTS = 4


@dataclass(frozen=True)
class Tried:
    """decision: with plan() what would be done, before any model was asked. sources: the passages the answer could use."""

    asked: Asked
    answer: Answer
    decision: str
    sources: tuple[Match, ...]
    prompt: tuple[ChatMessage, ...]
    total_s: float

    @property
    def cited_keys(self) -> list[str]:
        return [citation.key for citation in self.answer.citations]

    @property
    def confidence(self) -> float:
        return float(self.answer.trace.get("confidence", 0.0))

    @property
    def fallback(self) -> str:
        """Why the model's words are not the answer, though it was asked; else empty."""
        return str(self.answer.trace.get("fallback", ""))

    @property
    def found_keys(self) -> list[str]:
        """Of the first search, best first."""
        return [str(row["key"]) for row in self.answer.trace.get("ranked", [])]

    def as_line(self) -> dict[str, Any]:
        """The line that `manage.py evaluateanswers` writes."""
        answer = self.answer
        return {
            "text": self.asked.text,
            "history": turns_as_json(self.asked.history),
            "locale": self.asked.locale,
            "expected": self.asked.expected,
            "decision": self.decision,
            "answer": answer.text,
            "sources": [f"{match.question}\n{match.answer}" for match in self.sources],
            "citations": [
                {"number": c.number, "key": c.key, "title": c.title, "revision": c.revision, "quotes": list(c.quotes)}
                for c in answer.citations
            ],
            "withheld": answer.trace.get("withheld", []),
            "ttft_s": None if answer.ttft_ms is None else round(answer.ttft_ms / 1000, 4),
            "total_s": round(self.total_s, 4),
        }


def never() -> bool:
    return False


def try_question(
    asked: Asked,
    *,
    search: Search,
    engine: Engine,
    deadline_s: float | None = None,
    should_stop: Callable[[], bool] = never,
    company: Company | None = None,
    may_quote: bool = True,
) -> Tried:
    """Answer it as the chat would. deadline_s: as a customer's when None; company: ours when None; may_quote: see Question."""
    watched = WatchedEngine(engine)
    return _run(
        asked,
        search=search,
        engine=watched,
        deadline_s=deadline_s,
        should_stop=should_stop,
        company=company,
        may_quote=may_quote,
    )


def try_patiently(
    asked: Asked,
    *,
    search: Search,
    engine: Engine,
    should_stop: Callable[[], bool] = never,
    company: Company | None = None,
    may_quote: bool = True,
) -> Tried:
    """Answer it for a run, which must not take for an answer what a crowd has made of it. Raises EngineError instead."""
    for _ in range(_ATTEMPTS):
        tried = try_question(
            asked,
            search=search,
            engine=engine,
            deadline_s=PATIENT_DEADLINE_S,
            should_stop=should_stop,
            company=company,
            may_quote=may_quote,
        )
        if tried.fallback not in _CROWDED or should_stop():
            break
    if tried.fallback in _NO_MODEL and not should_stop():
        raise EngineError(tried.fallback, "the model could not be asked")
    return tried


def plan(asked: Asked, *, search: Search) -> Tried:
    """Search and decide only; the answer's text is what a customer would get without the model."""
    planning = PlanningEngine()
    return _run(asked, search=search, engine=planning, deadline_s=None, should_stop=never, company=None)


def _run(
    asked: Asked,
    *,
    search: Search,
    engine: WatchedEngine | PlanningEngine,
    deadline_s: float | None,
    should_stop: Callable[[], bool],
    company: Company | None,
    may_quote: bool = True,
) -> Tried:
    question = Question(
        text=asked.text,
        locale=asked.locale,
        company=company or runtime.company(),
        history=asked.history,
        deadline_s=settings.REPLY_DEADLINE_S if deadline_s is None else deadline_s,
        patient=deadline_s == PATIENT_DEADLINE_S,
        second_look=settings.ANSWER_SECOND_LOOK and isinstance(engine, WatchedEngine),
        look_heads=settings.LOOK_HEADS_DIR,
        may_quote=may_quote,
    )
    seen = WatchedSearch(search)
    started = time.monotonic()
    steps = list(pipeline.answer(question, search=seen, engine=engine, should_stop=should_stop))
    total_s = time.monotonic() - started
    answer = steps[-1]
    assert isinstance(answer, Answer)  # The pipeline ends with it.
    # A look at what was found writes nothing.
    written = [request for request in engine.requests if not is_look(request)]
    prompt: Sequence[ChatMessage] = written[-1].messages if written else ()
    planned = isinstance(engine, PlanningEngine) and bool(engine.requests)
    cited = seen.cited([c.key for c in answer.citations], titles=[c.title for c in answer.citations])
    return Tried(
        asked=asked,
        answer=answer,
        decision="compose" if planned else answer.decision,
        sources=tuple({id(match): match for match in (*seen.shown_in(prompt), *cited)}.values()),
        prompt=tuple(prompt),
        total_s=total_s,
    )
