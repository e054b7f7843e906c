"""Draft a reply for an agent: two or three alternatives, each sentence held to the same check as the bot's own answers.

The knowledge is searched as for the customer. A FAQ that surely answers is offered in its own words; the model's alternatives
come from one reading of the prompt. What the check leaves nothing of is not offered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal
from uuid import UUID, uuid4

from chatbot import runtime
from chatbot.answering import giving_way
from chatbot.answering.answers import Match, Question, Ranking, Search, Titled
from chatbot.answering.composing import Composed, check_whole, request_for
from chatbot.answering.decisions import decide
from chatbot.answering.facts import Sources, unsupported
from chatbot.answering.grounding import renumber
from chatbot.answering.language import same_language
from chatbot.assist.dialogue import Dialogue, dialogue_of
from chatbot.characters import bare
from chatbot.engine.requests import Engine, GenerationOutput, Sampling

ALTERNATIVES = 3
MAX_NEW_TOKENS = 160
DEADLINE_S = 90.0
# The first is the model's best guess; the others draw.
_TEMPERATURE = 0.8
_CLOSE_SHARE = 0.7
Kind = Literal["published", "written"]


@dataclass(frozen=True)
class Source:
    number: int
    key: str
    title: str
    revision: int


@dataclass(frozen=True)
class Draft:
    """text: with [n] marks of its sources. plain: as it is sent. withheld: how many sentences the check took away."""

    kind: Kind
    text: str
    plain: str
    sources: tuple[Source, ...]
    withheld: int = 0
    model_version: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Suggested:
    """A FAQ or a passage that may help. sure: the search is sure of it; foreign: not in the customer's language."""

    key: str
    title: str
    text: str
    faq_id: int | None
    locale: str
    score: float
    sure: bool
    foreign: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def draft_replies(
    conversation_id: UUID,
    *,
    search: Search,
    engine: Engine,
    cancelled: Callable[[], bool],
    progress: Callable[[str, str], None] = lambda step, text: None,
) -> list[Draft]:
    """The alternatives, the surest first; empty where nothing known answers. Raises NotFound, InvalidInput, Unavailable."""
    told = dialogue_of(conversation_id)
    return drafts_of(told, search=search, engine=engine, cancelled=cancelled, progress=progress)


def drafts_of(
    told: Dialogue,
    *,
    search: Search,
    engine: Engine,
    cancelled: Callable[[], bool],
    progress: Callable[[str, str], None] = lambda step, text: None,
) -> list[Draft]:
    """See draft_replies()."""
    ranking = _ranking(told, search=search, limit=5)
    matches = _close(ranking)
    if not matches or decide(ranking.confidence) == "handoff":
        return []
    found = [_published(matches[0])] if _is_answer(ranking, language=told.language) else []
    wanted = ALTERNATIVES - len(found)
    published = Sources([f"{match.question}\n{match.answer}" for match in matches])
    composed = _written(told, matches, engine=engine, wanted=wanted, cancelled=cancelled, progress=progress)
    for one in composed:
        draft = _draft(one, published=published)
        if draft is not None and all(bare(draft.plain) != bare(other.plain) for other in found):
            found.append(draft)
    return found[:ALTERNATIVES]


def suggest_faqs(conversation_id: UUID, *, search: Search) -> list[Suggested]:
    """What the search finds for the customer's last words, best first. Raises NotFound, InvalidInput."""
    told = dialogue_of(conversation_id)
    ranking = _ranking(told, search=search, limit=5)
    sure = decide(ranking.confidence) in ("direct", "compose")
    return [
        Suggested(
            key=match.key,
            title=_title(match),
            text=match.answer,
            faq_id=match.faq_id,
            locale=match.locale,
            score=round(float(match.score), 3),
            sure=sure and place == 0,
            foreign=not same_language(match.locale, told.language),
        )
        for place, match in enumerate(ranking.matches)
    ]


def _ranking(told: Dialogue, *, search: Search, limit: int) -> Ranking:
    earlier = told.customer_texts[:-1][-2:]
    return search(
        told.question, locale=told.language, limit=limit, context=earlier, said=tuple(turn.text for turn in told.before)
    )


def _close(ranking: Ranking) -> Sequence[Match]:
    return [match for match in ranking.matches if match.score >= _CLOSE_SHARE * ranking.matches[0].score]


def _is_answer(ranking: Ranking, *, language: str) -> bool:
    return decide(ranking.confidence) == "direct" and same_language(ranking.matches[0].locale, language)


def _written(
    told: Dialogue,
    matches: Sequence[Match],
    *,
    engine: Engine,
    wanted: int,
    cancelled: Callable[[], bool],
    progress: Callable[[str, str], None],
) -> list[Composed]:
    question = Question(
        text=told.question,
        locale=told.conversation.locale,
        company=runtime.company(),
        history=told.before,
        # A name of its own: an unfinished draft must not push the customer's cache aside.
        conversation=f"draft-{told.conversation.pk}",
        deadline_s=DEADLINE_S,
    )
    request = replace(
        request_for(question, matches=matches, language=told.language, engine=engine),
        request_id=f"draft-{uuid4().hex}",
        max_new_tokens=MAX_NEW_TOKENS,
        deadline_s=DEADLINE_S,
        sampling=Sampling(temperature=_TEMPERATURE, top_p=0.95, seed=int(time.time())),
        alternatives=wanted,
    )
    output = giving_way.write(request, engine=engine, cancelled=cancelled, progress=progress)
    outputs: list[GenerationOutput] = [output, *output.alternatives]
    progress("checking", "")
    return [check_whole(one, question=question, matches=matches, language=told.language) for one in outputs]


def _draft(composed: Composed, *, published: Sources) -> Draft | None:
    """A checked answer as a draft; None where nothing of it stands. What was cut short is offered: the agent reads it first.

    A sum that only the customer has named is none of the company's, whatever the sentence is about.
    """
    if not composed.text or composed.outcome in ("no_answer", "failed"):
        return None
    if any(fact.kind in ("money", "percent") for fact in unsupported(composed.text, published)):
        return None
    sources = tuple(_source(match, number=number) for number, match in sorted(composed.cited.items()))
    return Draft(
        kind="written",
        text=composed.text,
        plain=renumber(composed.text, numbers={}),
        sources=sources,
        withheld=len(composed.withheld),
        model_version=composed.output.model_version,
    )


def _published(match: Match) -> Draft:
    return Draft(kind="published", text=match.answer, plain=match.answer, sources=(_source(match, number=1),))


def _source(match: Match, *, number: int) -> Source:
    return Source(number=number, key=match.key, title=_title(match), revision=match.revision)


def _title(match: Match) -> str:
    return match.title if isinstance(match, Titled) else match.question
