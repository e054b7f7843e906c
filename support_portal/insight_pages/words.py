"""Numbers as a manager says them: with units, rounded to what can be told apart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from chatbot.insights.periods import Period, Step

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
NOTHING = "–"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# Below this a difference is no news.
_STEADY_POINTS = 1.0
_STEADY_SHARE = 0.03


def count(value: int | float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}"


def percent(share: float | None) -> str:
    """A share of 0 to 1."""
    if share is None:
        return NOTHING
    return f"{share * 100:.1f} %" if 0 < share < 0.1 else f"{share * 100:.0f} %"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return NOTHING
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < HOUR_S:
        return f"{seconds / MINUTE_S:.1f} min" if seconds < 10 * MINUTE_S else f"{seconds / MINUTE_S:.0f} min"
    if seconds < 2 * DAY_S:
        return f"{seconds / HOUR_S:.1f} h"
    return f"{seconds / DAY_S:.1f} days"


def tick_duration(seconds: float) -> str:
    """See duration(); on an axis, where the numbers are round."""
    for unit_s, unit in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= unit_s:
            return f"{seconds / unit_s:g} {unit}"
    return f"{seconds:g} s"


def score(mean: float | None) -> str:
    return NOTHING if mean is None else f"{mean:.1f}"


def many(number: int, one: str, more: str = "") -> str:
    """For example "1 conversation", "3 conversations"."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


@dataclass(frozen=True)
class Change:
    """Against the period before. good: whether it went the way it should; None where neither way is better, or it is steady."""

    text: str
    direction: Literal["up", "down", "same", "unknown"] = "unknown"
    good: bool | None = None


def points_change(now: float | None, before: float | None, *, better: Literal["more", "less", ""] = "") -> Change:
    """Of two shares of 0 to 1, in percentage points."""
    if now is None or before is None:
        return Change("nothing to compare with")
    points = (now - before) * 100
    if abs(points) < _STEADY_POINTS:
        return Change("as before", "same")
    return _changed(f"{abs(points):.0f} {'point' if round(abs(points)) == 1 else 'points'}", points > 0, better=better)


def relative_change(now: float | None, before: float | None, *, better: Literal["more", "less", ""] = "") -> Change:
    if now is None or not before:
        return Change("nothing to compare with")
    share = now / before - 1
    if abs(share) < _STEADY_SHARE:
        return Change("as before", "same")
    text = f"{now / before:.1f} times as much" if share > 2 else f"{abs(share) * 100:.0f} %"
    return _changed(text, share > 0, better=better)


def score_change(now: float | None, before: float | None) -> Change:
    if now is None or before is None:
        return Change("nothing to compare with")
    if abs(now - before) < 0.05:
        return Change("as before", "same")
    return _changed(f"{abs(now - before):.1f}", now > before, better="more")


def _changed(text: str, is_more: bool, *, better: Literal["more", "less", ""]) -> Change:
    return Change(text, "up" if is_more else "down", None if not better else is_more == (better == "more"))


def column_label(day: date, step: Step) -> str:
    """Under an axis."""
    return f"{day:%b %Y}" if step == "month" else f"{day.day} {day:%b}"


def column_name(day: date, step: Step) -> str:
    """In a sentence or a table."""
    if step == "month":
        return f"{day:%B %Y}"
    return f"{day:%a} {day.day} {day:%b}" if step == "day" else f"week of {day.day} {day:%b}"


def period_name(period: Period) -> str:
    """For example "24 Oct – 22 Nov 2026"."""
    first, last = period.first, period.last
    if first == last:
        return f"{first.day} {first:%B %Y}"
    start = f"{first.day} {first:%b}" + (f" {first.year}" if first.year != last.year else "")
    return f"{start} – {last.day} {last:%b %Y}"


def hour_range(hour: int) -> str:
    return f"{hour:02d}–{(hour + 1) % 24:02d} h"
