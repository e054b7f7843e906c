"""Was a written answer right? Each answer to a frozen question is held against the approved one. Pure.

Right is what a reviewer would pass without a touch: checked like every answer before a customer sees it, from the right source,
with the facts of the approved answer, and no longer than the house writes; or the plain "I don't know" where the knowledge has
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from chatbot.answering.composing import Composed
from chatbot.answering.facts import extract
from chatbot.answering.grounding import NO_ANSWER, cited_numbers, renumber
from chatbot.answering.language import detect, same_language
from chatbot.answering.support import grams_of
from chatbot.company import Company
from chatbot.learning import shaping

COVERED_AT = 0.6
# How much longer than the approved answer one may be and still be in the house's style.
LONGER = 1.6
LONGER_CHARS = 40


@dataclass(frozen=True)
class Judged:
    """One answer. style: as short as the house writes; source: from the right passage; covered: says what was wanted."""

    right: bool
    refused: bool
    should_refuse: bool
    grounded: bool
    source: bool
    covered: bool
    style: bool
    language: bool
    chars: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def judge(text: str, line: Mapping[str, Any], *, company: Company) -> Judged:
    """line: of a dataset's held-out half, with `asked` and `completion`."""
    asked = shaping.asked_of(line["asked"])
    wanted: str = line["completion"]
    composed = shaping.checked(text, asked, company=company)
    refused = composed.outcome == "no_answer" or NO_ANSWER in text
    should_refuse = wanted == NO_ANSWER
    shown, plain = renumber(composed.text, numbers={}), renumber(wanted, numbers={})
    written = composed.outcome == "written" and bool(shown)
    grounded = refused or (written and not _unsupported(composed))
    source = written and _source_of(wanted, composed, asked)
    covered = written and _covers(shown, plain)
    style = refused if should_refuse else written and len(shown) <= LONGER * len(plain) + LONGER_CHARS
    language = refused or (written and same_language(detect(shown, fallback=asked.language), asked.language))
    right = refused if should_refuse else not refused and grounded and source and covered and style and language
    return Judged(right, refused, should_refuse, grounded, source, covered, style, language, len(shown))


def _unsupported(composed: Composed) -> bool:
    return any(item["reasons"] != ["question"] for item in composed.withheld)


def _source_of(wanted: str, composed: Composed, asked: shaping.Asked) -> bool:
    numbers = [number for number in cited_numbers(wanted) if 1 <= number <= len(asked.passages)]
    if not numbers:
        return True
    keys = {match.key for match in composed.cited.values()}
    return asked.passages[numbers[0] - 1].key in keys


def _covers(shown: str, wanted: str) -> bool:
    """Whether an answer has the facts of the wanted one, or else most of its words."""
    facts = set(extract(wanted))
    grams = grams_of(wanted)
    share = len(grams & grams_of(shown)) / len(grams) if grams else 1.0
    if facts:
        there = set(extract(shown))
        return len(facts & there) / len(facts) >= COVERED_AT and share >= COVERED_AT / 2
    return share >= COVERED_AT
