"""What an author should know before saving: FAQs that say the same already, and facts that other FAQs state differently.

Near-duplicates are found with the search that serves customers: another FAQ says the same when customers who ask
the draft's question, or half of its phrasings, are answered from it now; or when a text is all but the other's. Facts are
compared by value, so that a translation's 三十天 agrees with "30 days".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from chatbot.answering.facts import Fact, extract
from chatbot.answering.language import same_language
from chatbot.engine.embedder import Embedder, Vectors
from chatbot.knowledge import retrieval
from chatbot.knowledge.access import published_faqs, translations_of
from chatbot.knowledge.confidence import COMPOSE_AT
from chatbot.knowledge.lexical import tokens
from chatbot.knowledge.models import Faq, Phrasing

# The question and this many phrasings are looked up; each costs a search.
MAX_LOOKED_UP = 12
MAX_NEAR = 5
# A text that is this like another one is the same with other words around it.
_SURELY_ALIKE = 0.92
# Two answers that share this much of their words are one.
_SAME_WORDS = 0.7
_MIN_ANSWER_WORDS = 6
_DOLLARS = re.compile(r"(\b[A-Z]{1,3}(\$ ?[\d.,]*\d))")
_COMPARED = ("money", "percent", "quantity", "date", "time", "phone", "email", "link")


@dataclass(frozen=True)
class Draft:
    """What stands in the editor."""

    key: str
    locale: str
    question: str
    answer: str
    phrasings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """Facts of one kind that the two texts state differently, as they write them."""

    kind: str
    here: tuple[str, ...]
    there: tuple[str, ...]


@dataclass(frozen=True)
class Near:
    """A FAQ worth a look. likeness: the highest cosine of two phrasings. duplicate: too near. text: the draft's nearest.

    answers_it: customers who ask the draft's question are answered from that FAQ now.
    """

    faq_id: int
    key: str
    locale: str
    question: str
    likeness: float
    duplicate: bool
    answers_it: bool
    text: str
    translation: bool = False
    differences: tuple[Difference, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def check(draft: Draft, *, embedder: Embedder) -> list[Near]:
    """The near-duplicates, likest first, and every near FAQ or translation that states facts differently."""
    near = [found for found in _near(draft, embedder=embedder) if found.duplicate or found.differences]
    return [*near[:MAX_NEAR], *_translations(draft)]


def differing_facts(here: str, there: str, *, both_ways: bool = False) -> tuple[Difference, ...]:
    """Facts of one kind of which each text has some that the other has not. both_ways: or only one of them has."""
    found, mine_all, theirs_all = [], _facts(here), _facts(there)
    for kind, (mine, theirs) in _by_kind(mine_all, theirs_all).items():
        only_here = [fact for fact in mine if not any(fact.values & other.values for other in theirs)]
        only_there = [fact for fact in theirs if not any(fact.values & other.values for other in mine)]
        if both_ways and not (only_here and only_there):
            only_here, only_there = _said_nowhere(only_here, theirs_all), _said_nowhere(only_there, mine_all)
        if (only_here and only_there) or (both_ways and (only_here or only_there)):
            found.append(Difference(kind.split(":")[0], _written(only_here), _written(only_there)))
    return tuple(found)


def _said_nowhere(facts: Sequence[Fact], others: Sequence[Fact]) -> list[Fact]:
    """The facts whose number a translation has in no unit at all: "1 周" is "a week", and "100 分" may be "100 points"."""
    numbers = {value.partition(" ")[0] for other in others for value in other.values} | {"1"}
    return [fact for fact in facts if not numbers & {value.partition(" ")[0] for value in fact.values}]


def _near(draft: Draft, *, embedder: Embedder) -> list[Near]:
    texts = list(dict.fromkeys([draft.question, *draft.phrasings]))[:MAX_LOOKED_UP]
    texts = [text for text in texts if text.strip()]
    if not texts:
        return []
    owners = [_owner(text, draft) for text in texts]
    keys: dict[str, None] = {}
    for _, others in owners:
        keys |= dict.fromkeys(others)
    sure = [key for key, _ in owners]
    vectors = embedder.encode(texts)
    faqs = [faq for faq in published_faqs(keys) if same_language(faq.locale, draft.locale)]
    found = [_compared(draft, faq, texts, vectors, embedder=embedder, sure=sure) for faq in faqs]
    return sorted((near for near in found if near), key=lambda near: -near.likeness)


def _owner(text: str, draft: Draft) -> tuple[str, list[str]]:
    """The other FAQ that customers who write this surely get now, if any, and every other one that is near."""
    ranking = retrieval.search(text, locale=draft.locale, limit=5)
    others = [match.key for match in ranking.matches if match.key != draft.key]
    is_sure = bool(ranking.matches) and ranking.confidence >= COMPOSE_AT and ranking.matches[0].key != draft.key
    return (ranking.matches[0].key if is_sure else ""), others


def _compared(
    draft: Draft, faq: Faq, texts: Sequence[str], vectors: Vectors, *, embedder: Embedder, sure: Sequence[str]
) -> Near | None:
    """sure: for each text, the key of the FAQ that it surely finds now."""
    rows = list(Phrasing.objects.filter(faq=faq, embedder=embedder.name).values_list("vector", flat=True))
    if not rows:
        return None
    alike = vectors @ np.array(rows, dtype=np.float32).T
    likeness, taken = float(alike.max()), sure.count(faq.key)
    duplicate = sure[0] == faq.key or 2 * taken >= len(texts) or likeness >= _SURELY_ALIKE
    duplicate = duplicate or _answers_alike(draft.answer, faq.answer)
    return Near(
        faq_id=faq.pk,
        key=faq.key,
        locale=faq.locale,
        question=faq.question,
        likeness=round(likeness, 3),
        duplicate=duplicate,
        answers_it=sure[0] == faq.key,
        text=texts[int(alike.max(axis=1).argmax())],
        differences=differing_facts(draft.answer, faq.answer) if duplicate or taken else (),
    )


def _answers_alike(here: str, there: str) -> bool:
    """Whether two answers are one in nearly the same words, whatever is asked and whichever numbers they give."""
    mine, theirs = set(tokens(here)), set(tokens(there))
    return min(len(mine), len(theirs)) >= _MIN_ANSWER_WORDS and len(mine & theirs) >= _SAME_WORDS * len(mine | theirs)


def _translations(draft: Draft) -> list[Near]:
    found = []
    for faq in translations_of(draft.key) if draft.key else []:
        differences = differing_facts(draft.answer, faq.answer, both_ways=True) if faq.locale != draft.locale else ()
        if differences:
            found.append(_translation(faq, differences))
    return found


def _translation(faq: Faq, differences: tuple[Difference, ...]) -> Near:
    return Near(
        faq_id=faq.pk,
        key=faq.key,
        locale=faq.locale,
        question=faq.question,
        likeness=1.0,
        duplicate=False,
        answers_it=False,
        text="",
        translation=True,
        differences=differences,
    )


def _facts(text: str) -> list[Fact]:
    """S$5, A$5 and $5 are one amount here: a company that writes both means its own dollars. Each is told as it is written."""
    written = {bare.replace(" ", ""): full for full, bare in _DOLLARS.findall(text)}
    facts = extract(_DOLLARS.sub(lambda found: found[2], text))
    return [replace(fact, text=written.get(fact.text.strip().replace(" ", ""), fact.text)) for fact in facts]


def _by_kind(here: Sequence[Fact], there: Sequence[Fact]) -> dict[str, tuple[list[Fact], list[Fact]]]:
    """Facts that can contradict each other stand together: amounts of one currency, quantities of one unit, times ..."""
    groups: dict[str, tuple[list[Fact], list[Fact]]] = {}
    for side, facts in enumerate((here, there)):
        for fact in facts:
            if fact.kind in _COMPARED:
                groups.setdefault(_group(fact), ([], []))[side].append(fact)
    return groups


def _group(fact: Fact) -> str:
    unit = min(fact.values).partition(" ")[2] if fact.kind in ("money", "quantity") and fact.values else ""
    return f"{fact.kind}:{unit}"


def _written(facts: Sequence[Fact]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fact.text.strip() for fact in facts))
