"""When a team is there, by the team's own clock: nine o'clock stays nine o'clock when the clocks change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from chatbot.staffing.models import MINUTES_A_DAY, Team

# A team that opens within no year is one that does not open.
HORIZON_DAYS = 370


def is_open(team: Team, at: datetime) -> bool:
    """Whether somebody of the team is there at this moment (aware). No query where `hours` and `holidays` are prefetched."""
    if team.always_open:
        return True
    return any(start <= at < end for start, end in _spans(team, start=_local_day(team, at), days=1))


def next_opening(team: Team, at: datetime) -> datetime | None:
    """The first moment from `at` on at which the team is there, in UTC: `at` itself while it is open, None if never."""
    if is_open(team, at):
        return at.astimezone(UTC)
    return min((start for start, _ in _spans(team, start=_local_day(team, at), days=HORIZON_DAYS) if start >= at), default=None)


def closes_at(team: Team, at: datetime) -> datetime | None:
    """When the team that is open at this moment goes home, in UTC. None for one that is closed, or never closes."""
    if team.always_open:
        return None
    end = next((end for start, end in _spans(team, start=_local_day(team, at), days=1) if start <= at < end), None)
    if end is None:
        return None
    following = next((later for start, later in _spans(team, start=_local_day(team, end), days=1) if start <= end < later), None)
    return following or end


def _local_day(team: Team, at: datetime) -> date:
    return at.astimezone(ZoneInfo(team.time_zone)).date()


def _spans(team: Team, *, start: date, days: int) -> Iterator[tuple[datetime, datetime]]:
    """What is open on these days, in order, each span as two moments in UTC."""
    zone = ZoneInfo(team.time_zone)
    hours = sorted((span.weekday, span.opens_minute, span.closes_minute) for span in team.hours.all())
    if not hours:
        return
    holidays = {holiday.day for holiday in team.holidays.all()}
    for day in (start + timedelta(days=number) for number in range(days)):
        if day in holidays:
            continue
        for weekday, opens, closes in hours:
            if weekday == day.weekday():
                # An hour that the clock shows twice is open from its first to its last showing.
                yield _moment(day, opens, zone=zone, fold=0), _moment(day, closes, zone=zone, fold=1)


def _moment(day: date, minute: int, *, zone: ZoneInfo, fold: int) -> datetime:
    day, minute = (day + timedelta(days=1), 0) if minute == MINUTES_A_DAY else (day, minute)
    return datetime.combine(day, time(minute // 60, minute % 60), tzinfo=zone).replace(fold=fold).astimezone(UTC)
