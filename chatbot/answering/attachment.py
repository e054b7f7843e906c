"""Whether a figure stands with what it was stated of: "express takes 1 day" does not support "standard delivery takes 1 day".

Compares clauses by their letters. A figure is misattached when the passages state another figure of the same dimension in words
much nearer to the sentence's own than the words that this one stands in, or when a table's row for a value says something else.
What it cannot see: a figure taken for another property in the same words ("holds 160 kg" told as "weighs 160 kg").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chatbot.answering.facts import Fact, extract, without_facts
from chatbot.answering.sentences import sentences
from chatbot.answering.support import grams_of

# How much more of a claim's letters the other clause must have.
_CLEARLY = 0.3
_MIN_GRAMS = 4
_CLAUSE = re.compile(r"[;；]|[,，]\s?(?![\d])|\s(?:and|but|while|or|und|aber|et|mais|y|pero|e|ma)\s|而|但")
# "160–168 cm: S", "150-160厘米：XS": a row of a table, with what the range leads to.
_ROW = re.compile(
    r"(?<![\d.,])(?P<low>\d+(?:[.,]\d+)?)\s?(?:[-–—~至到]|to|bis)\s?(?P<high>\d+(?:[.,]\d+)?)\s?(?P<unit>[^\W\d_]{0,12})\s?[:：=]\s?"
    r"\**(?P<label>[^\s,.;:，。；：*]{1,24})\**"
)
_VALUE = re.compile(r"(?<![\d.,–-])(?P<value>\d+(?:[.,]\d+)?)\s?(?P<unit>[^\W\d_]{0,12})")
_COUNTED = ("money", "percent", "quantity")


@dataclass(frozen=True)
class _Clause:
    grams: frozenset[str]
    facts: tuple[Fact, ...]


class Attachments:
    """What the passages state of what."""

    def __init__(self, passages: Sequence[str]) -> None:
        self._clauses = [clause for passage in passages for clause in _clauses(passage)]
        self._rows = [match for passage in passages for match in _ROW.finditer(passage)]

    def misattached(self, sentence: str) -> Iterator[str]:
        """Yield the figures that the passages state of something else."""
        for claim in _clauses(sentence):
            if len(claim.grams) < _MIN_GRAMS:
                continue
            for fact in claim.facts:
                if fact.kind in _COUNTED and self._stands_elsewhere(fact, claim):
                    yield fact.text.strip()
        yield from self._wrong_rows(sentence)

    def _stands_elsewhere(self, fact: Fact, claim: _Clause) -> bool:
        holding = [_share(claim, one) for one in self._clauses if any(fact.values & other.values for other in one.facts)]
        rivals = [
            _share(claim, one)
            for one in self._clauses
            if any(_same_dimension(fact, other) for other in one.facts) and not any(fact.values & o.values for o in one.facts)
        ]
        return bool(holding and rivals) and max(rivals) >= max(holding) + _CLEARLY

    def _wrong_rows(self, sentence: str) -> Iterator[str]:
        """A value that a table gives to another label than the sentence does."""
        if not self._rows:
            return
        words = set(re.findall(r"[^\W_]+", sentence))
        for said in _VALUE.finditer(sentence):
            value = _number(said["value"])
            rows = [row for row in self._rows if not said["unit"] or not row["unit"] or row["unit"] == said["unit"]]
            named = [row for row in rows if row["label"] in words]
            own = [row for row in rows if _number(row["low"]) <= value <= _number(row["high"])]
            if named and own and not any(row["label"] in words for row in own):
                yield said.group().strip()


def _clauses(text: str) -> Iterator[_Clause]:
    for sentence in sentences(text):
        for part in _CLAUSE.split(sentence):
            if part and part.strip():
                yield _Clause(grams_of(without_facts(part)), tuple(extract(part)))


def _share(claim: _Clause, other: _Clause) -> float:
    return len(claim.grams & other.grams) / len(claim.grams)


def _same_dimension(one: Fact, other: Fact) -> bool:
    if one.kind != other.kind or one.kind not in _COUNTED:
        return False
    return one.kind != "quantity" or _units(one) == _units(other)


def _units(fact: Fact) -> set[str]:
    return {value.rpartition(" ")[2] for value in fact.values}


def _number(written: str) -> float:
    return float(written.replace(",", "."))
