"""Questions with the entries that a second look would read, and what the model's inside is while it reads them.

Two kinds: questions as customers ask them, where the search is not sure; and the knowledge's own phrasings, each with its own
entry and with those that come first once that entry is taken away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chatbot import runtime
from chatbot.answering.answers import Match, Question
from chatbot.answering.finding import Work, decide_kind, find
from chatbot.answering.language import detect
from chatbot.answering.pipeline import wants_second_look
from chatbot.answering.prompting import Turn
from chatbot.answering.second_look import MAX_LOOKS, just_said, look_request, yes_of
from chatbot.answering.understanding import asks_for_person
from chatbot.engine.requests import Engine, EngineError
from chatbot.quality.asked import Asked
from chatbot.quality.look_fitting import Looked
from chatbot.quality.scratch import ScratchKnowledge


@dataclass(frozen=True)
class Unread:
    """right: the key that answers, None where nothing does. for_join: see Looked."""

    question: Question
    matches: tuple[Match, ...]
    confidence: float
    right: str | None
    for_join: bool


def of_questions(asked: Sequence[Asked], knowledge: ScratchKnowledge) -> Iterator[Unread]:
    """Those that the model would be asked about."""
    for one in asked:
        question = _question(one.text, locale=one.locale, history=one.history)
        if asks_for_person(one.text) or not one.judged:
            continue
        work = Work(question, language=detect(one.text, fallback=one.locale), started=0.0)
        find(work, knowledge.search)
        decide_kind(work)
        if wants_second_look(work):
            yield Unread(question, tuple(work.sources[:MAX_LOOKS]), work.confidence, one.expected, True)


def of_phrasings(knowledge: ScratchKnowledge, *, most: int) -> Iterator[Unread]:
    """Phrasings with their own entry and its rivals."""
    for text, own, rivals in knowledge.index.with_rivals(most=most, rivals=MAX_LOOKS - 1):
        locale = detect(text, fallback="en")
        matches = tuple(knowledge.entry(key, locale=locale) for key in (own, *rivals))
        yield Unread(_question(text, locale=locale), matches, 0.5, own, False)


def read(unread: Unread, *, engine: Engine, layer: int) -> Looked:
    """Look at each entry. Raises EngineError for an engine that tells no states."""
    base = engine.versions[0]
    requests = [look_request(unread.question, match, layer=layer, version=base) for match in unread.matches]
    outputs = [handle.output for handle in [engine.submit(request) for request in requests]]
    if failed := next((output for output in outputs if output.error_code), None):
        raise EngineError(failed.error_code, f"The model stopped answering ({failed.error_code}).")
    if not all(output.hidden for output in outputs):
        raise EngineError("no_hidden_states", f"This engine does not tell what layer {layer} holds.")
    keys = [match.key for match in unread.matches]
    return Looked(
        text=unread.question.text,
        states=np.array([output.hidden for output in outputs], dtype=np.float32),
        yes=tuple(0.5 if (yes := yes_of(output)) is None else yes for output in outputs),
        scores=tuple(float(match.score) for match in unread.matches),
        confidence=unread.confidence,
        said=tuple(just_said(unread.question, match) for match in unread.matches),
        right=keys.index(unread.right) if unread.right in keys else None,
        for_join=unread.for_join,
    )


def _question(text: str, *, locale: str, history: tuple[Turn, ...] = ()) -> Question:
    return Question(text=text, locale=locale, company=runtime.company(), history=history, second_look=True)
