"""What a FAQ may contain: cleaning and limits, the same for the desk and for imports. No database access."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from chatbot.characters import strip_invisible
from chatbot.errors import InvalidInput
from chatbot.knowledge.models import (
    KEY_PATTERN,
    LOCALE_PATTERN,
    MAX_ANSWER_CHARS,
    MAX_CATEGORY_CHARS,
    MAX_KEY_CHARS,
    MAX_PHRASING_CHARS,
    MAX_PHRASINGS,
    MAX_QUESTION_CHARS,
    FaqContent,
)


@dataclass(frozen=True)
class FaqText:
    """The words of a FAQ, cleaned when made, so that equal words compare equal.

    Cleaning trims, unifies line ends and blanks, drops invisible characters and empty or repeated phrasings.
    """

    question: str
    answer: str
    phrasings: Sequence[str] = ()
    category: str = ""

    def __post_init__(self) -> None:
        asked = one_line(self.question)
        ways = dict.fromkeys(way for phrasing in self.phrasings if (way := one_line(phrasing)) and way != asked)
        for name, value in (
            ("question", asked),
            ("answer", _paragraphs(self.answer)),
            ("phrasings", tuple(ways)),
            ("category", one_line(self.category)),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, content: FaqContent) -> FaqText:
        return cls(question=content.question, answer=content.answer, phrasings=content.phrasings, category=content.category)


@dataclass(frozen=True)
class FaqTerms:
    """What stands beside the words: from when until when they hold, and who looks after them."""

    valid_from: datetime | None = None
    valid_until: datetime | None = None
    owner_id: int | None = None

    @classmethod
    def of(cls, content: FaqContent) -> FaqTerms:
        return cls(valid_from=content.valid_from, valid_until=content.valid_until, owner_id=content.owner_id)


def one_line(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", strip_invisible(text)).split())


def _paragraphs(text: str) -> str:
    return unicodedata.normalize("NFC", strip_invisible(text)).strip()


def problems_of(key: str, locale: str, text: FaqText) -> Iterator[tuple[str, str]]:
    """Yield (field, what is wrong) for everything that keeps a FAQ from being stored."""
    if not re.fullmatch(KEY_PATTERN, key) or len(key) > MAX_KEY_CHARS:
        yield (
            "key",
            f"must be 1 to {MAX_KEY_CHARS} letters, digits or . _ - ? * : without blanks, beginning with a letter or digit",
        )
    if not re.fullmatch(LOCALE_PATTERN, locale) or len(locale) > 35:
        yield "locale", "must be a lower-case language code such as en, zh-hans or pt-br"
    if not text.question:
        yield "question", "is empty"
    if not text.answer:
        yield "answer", "is empty"
    for field, value, limit in (
        ("question", text.question, MAX_QUESTION_CHARS),
        ("answer", text.answer, MAX_ANSWER_CHARS),
        ("category", text.category, MAX_CATEGORY_CHARS),
    ):
        if len(value) > limit:
            yield field, f"has {len(value):,} characters; at most {limit:,} are allowed"
    yield from _phrasing_problems(text.phrasings)


def _phrasing_problems(phrasings: Sequence[str]) -> Iterator[tuple[str, str]]:
    if len(phrasings) > MAX_PHRASINGS:
        yield "phrasings", f"are {len(phrasings)}; at most {MAX_PHRASINGS} are allowed"
    for number, phrasing in enumerate(phrasings, start=1):
        if len(phrasing) > MAX_PHRASING_CHARS:
            yield "phrasings", f"number {number} has {len(phrasing):,} characters; at most {MAX_PHRASING_CHARS} are allowed"


def refuse_problems(key: str, locale: str, text: FaqText, terms: FaqTerms | None = None) -> None:
    """Raise InvalidInput for the first problem."""
    if terms and terms.valid_from and terms.valid_until and terms.valid_until <= terms.valid_from:
        raise InvalidInput("It would end before it begins.", code="faq_invalid", field="valid_until")
    for field, problem in problems_of(key, locale, text):
        raise InvalidInput(f"The {field} {problem}.", code="faq_invalid", field=field)
