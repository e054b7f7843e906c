"""A span of whole days on the company's clock, and the span of the same length before it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from chatbot.errors import InvalidInput

MAX_DAYS = 3 * 366
Step = Literal["day", "week", "month"]


@dataclass(frozen=True)
class Period:
    """first, last: both inclusive."""

    first: date
    last: date
    zone: ZoneInfo

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def starts(self) -> datetime:
        return datetime.combine(self.first, time(), self.zone)

    @property
    def ends(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.last + timedelta(days=1), time(), self.zone)

    @property
    def before(self) -> Period:
        return Period(self.first - timedelta(days=self.days), self.first - timedelta(days=1), self.zone)

    @property
    def step(self) -> Step:
        """How finely a chart shows it: about thirty columns."""
        return "day" if self.days <= 45 else "week" if self.days <= 200 else "month"

    @property
    def columns(self) -> list[date]:
        """The first day of each column of a chart, as PostgreSQL's date_trunc cuts them."""
        start = _truncated(self.first, self.step)
        found = []
        while start <= self.last:
            found.append(start)
            start = _next(start, self.step)
        return found


def recent(days: int, *, today: date, zone: ZoneInfo) -> Period:
    """The last days, today included."""
    return Period(today - timedelta(days=days - 1), today, zone)


def month_of(day: date, *, zone: ZoneInfo) -> Period:
    first = day.replace(day=1)
    return Period(first, _next(first, "month") - timedelta(days=1), zone)


def between(first: date, last: date, *, zone: ZoneInfo) -> Period:
    """Raises InvalidInput when the end lies before the beginning, or too much lies between them."""
    if last < first:
        raise InvalidInput("The last day lies before the first one.", field="until")
    if (last - first).days >= MAX_DAYS:
        raise InvalidInput("Choose at most three years.", field="from")
    return Period(first, last, zone)


def _truncated(day: date, step: Step) -> date:
    if step == "day":
        return day
    return day - timedelta(days=day.weekday()) if step == "week" else day.replace(day=1)


def _next(day: date, step: Step) -> date:
    if step != "month":
        return day + timedelta(days=1 if step == "day" else 7)
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
