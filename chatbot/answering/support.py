"""Which sentence of the sources a sentence of the answer comes from, and how far it is carried by it. Compares letters only."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from chatbot.answering.facts import Fact, Sources, extract, without_facts
from chatbot.answering.sentences import sentences

_LINKS_AND_MARKS = re.compile(r"\]\([^)]*\)|\[\d{1,2}\]|https?://\S+")
_NO_LETTERS = re.compile(r"[\W_]+")
UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
# A sentence that says nearly all of what a statement says, and denies what that one affirms, turns it round.
_SAME_WORDS = 0.85
_SAME_WORDS_BACK = 0.7
_MIN_GRAMS = 6
# What a shared fact weighs beside shared letters when the statement behind a sentence is looked for.
_FACT_WEIGHT = 0.5
_DENIES = re.compile(
    r"\b(?:not|no|never|none|nothing|cannot|without|neither|nor|unable)\b|n['’]t\b|\b(?:nicht|kein\w*|nie|ohne|ne|pas|sans|jamais|"
    r"sin|nunca|non|senza|não|sem|niet|geen|nie|bez|не|нет|без)\b|不|没|沒|無|无|未|非|勿|ません|ない|않|없|لا |ليس|לא |אין ",
    re.I,
)


@dataclass(frozen=True)
class Statement:
    """One sentence of a passage; `passage` is its index."""

    passage: int
    text: str
    grams: frozenset[str] = field(repr=False)
    facts: Sources = field(repr=False)

    @cached_property
    def unspaced(self) -> bool:
        return bool(UNSPACED.search(self.text))


@dataclass(frozen=True)
class Support:
    """The statement a sentence rests on. score: the share of the sentence's letters that it has, 0 to 1."""

    statement: Statement
    score: float


def statements_of(passages: Sequence[str]) -> list[Statement]:
    return [
        Statement(index, text.strip(), grams_of(without_facts(text)), Sources([text]))
        for index, passage in enumerate(passages)
        for text in sentences(passage)
        if text.strip()
    ]


def best_support(sentence: str, statements: Sequence[Statement], *, passage: int | None = None) -> Support | None:
    """Find the statement that shares most letters and facts with a sentence; only of one passage where that is given."""
    grams, facts = grams_of(without_facts(sentence)), extract(sentence)
    best, best_fit = None, 0.0
    for statement in statements:
        if passage is not None and statement.passage != passage:
            continue
        share = len(grams & statement.grams) / len(grams) if grams else 0.0
        fit = share + _FACT_WEIGHT * _share_of(facts, statement.facts)
        if fit > best_fit:
            best, best_fit = Support(statement, round(share, 3)), fit
    return best


def turned_round(sentence: str, support: Support | None) -> bool:
    """Tell whether a sentence denies what its statement affirms, or the reverse, in the same words."""
    if support is None or support.score < _SAME_WORDS or len(support.statement.grams) < _MIN_GRAMS:
        return False
    grams = grams_of(without_facts(sentence))
    back = len(grams & support.statement.grams) / len(support.statement.grams)
    return back >= _SAME_WORDS_BACK and _denies(sentence) != _denies(support.statement.text)


def grams_of(text: str) -> frozenset[str]:
    """Pairs of characters where words have no blanks between them, else the 4-grams of each word."""
    found: set[str] = set()
    for word in letters_of(text).split():
        if UNSPACED.search(word):
            found.update(word[i : i + 2] for i in range(len(word) - 1))
        elif len(word) >= 4:
            found.update(word[i : i + 4] for i in range(len(word) - 3))
    return frozenset(found)


def letters_of(text: str) -> str:
    text = _LINKS_AND_MARKS.sub(" ", unicodedata.normalize("NFKC", text).casefold())
    return _NO_LETTERS.sub(" ", text).strip()


def _share_of(facts: Sequence[Fact], source: Sources) -> float:
    return sum(source.supports(fact) for fact in facts) / len(facts) if facts else 0.0


def _denies(text: str) -> bool:
    return bool(_DENIES.search(text))
