"""What a sentence states that can be plainly right or wrong: numbers, amounts, dates, times, links, addresses, codes.

Facts are compared by value, whatever their writing: "5 pm", "17:00" and 下午五点 are one fact. A fact may have several readings
(3/4 is a day in March and one in April); it is supported when any of them is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from chatbot.answering.fact_patterns import CITATION, LIST_NUMBER, NUMBER, PATTERNS, WEEKDAY_RANGE, Kind
from chatbot.answering.fact_words import CURRENCIES, MONTHS, UNITS, WEEKDAYS
from chatbot.answering.numerals import readings, with_digits


@dataclass(frozen=True)
class Fact:
    kind: Kind
    values: frozenset[str]
    text: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.text.strip()}"


def extract(text: str) -> list[Fact]:
    """Find the facts of a text. Citation marks and the numbers of a numbered list are none."""
    return list(_taken_out(text)[0])


def without_facts(text: str) -> str:
    """Return what a text says beside its facts."""
    return _taken_out(text)[1]


# Each check of a sentence asks several times, and each answer's checker reads its passages three ways.
@lru_cache(maxsize=512)
def _taken_out(text: str) -> tuple[tuple[Fact, ...], str]:
    text = LIST_NUMBER.sub(" ", with_digits(CITATION.sub(" ", text)))
    found: list[Fact] = []

    def take(kind: Kind) -> Callable[[re.Match[str]], str]:
        def replace(match: re.Match[str]) -> str:
            values = [values for values in _READERS[kind](match) if values]
            if not values:
                return match.group()
            found.extend(Fact(kind=kind, values=value, text=match.group()) for value in values)
            return " ; "

        return replace

    for kind, pattern in PATTERNS:
        text = pattern.sub(take(kind), text)
    return tuple(found), text


class Sources:
    """The facts that may be stated: those of the passages, and what the customer said of their own affairs.

    A link must come from a passage: a customer's link repeated by the company would be the company's word for it.
    """

    def __init__(self, passages: Iterable[str], *, customer: Iterable[str] = ()) -> None:
        self._passages = tuple(passages)
        self._customer = tuple(customer)

    @cached_property
    def _values(self) -> dict[Kind, set[str]]:
        pool: dict[Kind, set[str]] = {}
        for texts, trusted in ((self._passages, True), (self._customer, False)):
            for text in texts:
                for fact in extract(text):
                    if trusted or fact.kind != "link":
                        pool.setdefault(fact.kind, set()).update(_implied(fact))
                digits = with_digits(CITATION.sub(" ", text))
                pool.setdefault("number", set()).update(*map(readings, re.findall(NUMBER, digits)))
                pool.setdefault("weekday", set()).update(_weekdays_between(digits))
        return pool

    def supports(self, fact: Fact) -> bool:
        return bool(fact.values & self._values.get(fact.kind, set()))


def unsupported(sentence: str, sources: Sources) -> list[Fact]:
    """Return the facts of a sentence that no source has."""
    return [fact for fact in extract(sentence) if not sources.supports(fact)]


def _implied(fact: Fact) -> Iterator[str]:
    yield from fact.values
    if fact.kind == "date":
        yield from (value.split("-", 1)[1] for value in fact.values if value.count("-") == 2)


def _one(values: Iterable[str]) -> list[frozenset[str]]:
    return [frozenset(values)]


def _link(match: re.Match[str]) -> list[frozenset[str]]:
    groups = match.groupdict()
    value = (groups["value"] or groups.get("url") or "").rstrip(".,;:!?*_)")
    if value.lower().startswith(("mailto:", "tel:")):
        return _one({value.lower()})
    bare = re.sub(r"^(?:https?://)?(?:www\.)?", "", value, flags=re.I)
    host, slash, path = bare.partition("/")
    return _one({host.lower() + (slash + path).rstrip("/")})


def _phone(match: re.Match[str]) -> list[frozenset[str]]:
    digits = re.sub(r"\D", "", match.group())
    return _one({digits, digits.removeprefix("00")}) if 7 <= len(digits) <= 15 else []


def _date(match: re.Match[str]) -> list[frozenset[str]]:
    part = match.groupdict()
    year = part.get("y") or ""
    year = f"20{year}" if len(year) == 2 else year
    if part.get("a"):
        pairs = [(int(part["a"]), int(part["b"])), (int(part["b"]), int(part["a"]))]
    else:
        month = MONTHS[part["month"].lower().rstrip(".")] if part.get("month") else int(part["m"])
        pairs = [(month, int(part["d"]))]
    return _one({f"{year}-{m}-{d}".lstrip("-") for m, d in pairs if 1 <= m <= 12 and 1 <= d <= 31})


def _time(match: re.Match[str]) -> list[frozenset[str]]:
    part = match.groupdict()
    if "word" in part:
        return _one({"0:00"} if (part["word"] or "").lower() == "midnight" else {"12:00"})
    minutes = "30" if part.get("mhalf") else (part.get("m") or "00").zfill(2)
    hour = int(part["h"])
    if hour > 24 or int(minutes) > 59:
        return []
    half = (part.get("half") or "").lower() or _half_of(part.get("part") or "")
    found = _one(f"{h}:{minutes}" for h in _hours(hour, half=half))
    if part.get("lh"):
        found += _one(f"{h}:{(part['lm'] or '00')}" for h in _hours(int(part["lh"]), half=""))
    return found


def _half_of(words: str) -> str:
    if not words:
        return ""
    return "a" if words in ("凌晨", "早上", "早晨", "上午", "午前") else "p"


def _hours(hour: int, *, half: str) -> set[int]:
    """Return the hours of the day meant; both halves where nothing says which."""
    if hour > 12 or hour == 0:
        return {hour % 24}
    morning, evening = hour % 12, hour % 12 + 12
    return {morning} if half == "a" else {evening} if half == "p" else {morning, evening}


def _numbers(match: re.Match[str]) -> list[str]:
    part = match.groupdict()
    return [number for number in (part.get("low"), part.get("n"), part.get("high")) if number]


def _percent(match: re.Match[str]) -> list[frozenset[str]]:
    return [readings(number) for number in _numbers(match)]


def _money(match: re.Match[str]) -> list[frozenset[str]]:
    written = match["cur"].lower()
    currencies = CURRENCIES.get(written, written).split("/")
    amounts = [readings(number) for number in _numbers(match)]
    return [frozenset(f"{value} {currency}" for value in values for currency in currencies) for values in amounts]


def _quantity(match: re.Match[str]) -> list[frozenset[str]]:
    unit = re.split(r"[\s-]+", match["unit"].lower())[-1]
    factor, base = UNITS[unit]
    return [frozenset(f"{float(value) * factor:.12g} {base}" for value in readings(number)) for number in _numbers(match)]


def _weekday(match: re.Match[str]) -> list[frozenset[str]]:
    day = match["day"]
    if day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"):
        return []  # in small letters these are words: the sun, she sat
    return _one({str(WEEKDAYS[day.lower()])})


def _weekdays_between(text: str) -> Iterator[str]:
    for match in WEEKDAY_RANGE.finditer(text):
        first, last = WEEKDAYS[match["first"].lower()], WEEKDAYS[match["last"].lower()]
        yield from (str((first + step) % 7) for step in range((last - first) % 7 + 1))


_READERS: dict[Kind, Callable[[re.Match[str]], list[frozenset[str]]]] = {
    "link": _link,
    "email": lambda match: _one({match["value"].lower().rstrip(".")}),
    "phone": _phone,
    "code": lambda match: _one({match.group().upper().replace("-", "")}),
    "date": _date,
    "weekday": _weekday,
    "time": _time,
    "percent": _percent,
    "money": _money,
    "quantity": _quantity,
    "number": lambda match: [readings(match.group())],
}
