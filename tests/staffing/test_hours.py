"""Hours on the team's own clock: weekdays, breaks, holidays, midnight, and the nights on which the clocks change."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from chatbot.staffing.access import default_team
from chatbot.staffing.hours import closes_at, is_open, next_opening
from chatbot.staffing.models import Holiday, OpeningHours, Team

pytestmark = pytest.mark.django_db


def _team(*spans: tuple[int, int, int], zone: str = "Europe/Berlin", holidays: tuple[date, ...] = ()) -> Team:
    team = Team.objects.create(name="Berlin", time_zone=zone, always_open=False)
    OpeningHours.objects.bulk_create(
        OpeningHours(team=team, weekday=day, opens_minute=opens, closes_minute=closes) for day, opens, closes in spans
    )
    Holiday.objects.bulk_create(Holiday(team=team, day=day) for day in holidays)
    return Team.objects.prefetch_related("hours", "holidays").get(pk=team.pk)


def _at(text: str, *, fold: int = 0, zone: str = "Europe/Berlin") -> datetime:
    # In UTC: Python finds a time that the clock shows twice equal to nothing in another zone.
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


OFFICE = tuple((day, 9 * 60, 17 * 60) for day in range(5))


@pytest.mark.parametrize(
    ("at", "open_", "opens"),
    [
        ("2026-11-23T08:59", False, "2026-11-23T09:00"),  # a Monday
        ("2026-11-23T09:00", True, "2026-11-23T09:00"),
        ("2026-11-23T16:59", True, "2026-11-23T16:59"),
        ("2026-11-23T17:00", False, "2026-11-24T09:00"),
        ("2026-11-27T17:00", False, "2026-11-30T09:00"),  # over the weekend
        ("2026-12-24T18:00", False, "2026-12-28T09:00"),  # Christmas Day is a Friday
    ],
)
def test_office_hours(at: str, open_: bool, opens: str) -> None:
    team = _team(*OFFICE, holidays=(date(2026, 12, 25),))
    assert is_open(team, _at(at)) is open_
    assert next_opening(team, _at(at)) == _at(opens)


def test_the_clock_is_the_teams_and_not_the_askers() -> None:
    team = _team(*OFFICE, zone="Asia/Shanghai")
    assert is_open(team, datetime(2026, 11, 23, 1, 0, tzinfo=UTC))
    assert not is_open(team, datetime(2026, 11, 23, 9, 0, tzinfo=UTC))


def test_nine_stays_nine_over_the_change_of_clocks() -> None:
    team = _team((6, 9 * 60, 12 * 60))
    before, after = _at("2026-10-18T12:00"), _at("2026-10-25T08:00")  # the clocks go back on the 25th
    assert next_opening(team, before) == _at("2026-10-25T09:00") == datetime(2026, 10, 25, 8, 0, tzinfo=UTC)
    assert next_opening(team, after) == _at("2026-10-25T09:00")


def test_an_hour_that_comes_twice_is_open_from_first_to_last() -> None:
    team = _team((6, 90, 150))
    assert is_open(team, _at("2026-10-25T02:15", fold=0)) and is_open(team, _at("2026-10-25T02:15", fold=1))
    assert closes_at(team, _at("2026-10-25T01:30")) == _at("2026-10-25T02:30", fold=1)


def test_a_night_shift_is_two_spans_without_a_gap() -> None:
    team = _team((0, 22 * 60, 24 * 60), (1, 0, 6 * 60))
    night = _at("2026-11-23T23:59")
    assert is_open(team, night) and is_open(team, night + timedelta(minutes=1))
    assert closes_at(team, night) == _at("2026-11-24T06:00")


def test_a_team_without_hours_never_opens_and_one_that_is_always_there_never_closes() -> None:
    now = _at("2026-11-23T12:00")
    never = _team()
    assert (is_open(never, now), next_opening(never, now), closes_at(never, now)) == (False, None, None)
    always = Team(name="Always")
    assert (is_open(always, now), next_opening(always, now), closes_at(always, now)) == (True, now, None)


@pytest.mark.parametrize("seed", range(4))
def test_next_opening_is_the_first_open_moment(seed: int) -> None:
    """Against a walk in steps of a minute, over a change of clocks, with random hours."""
    chance = random.Random(seed)
    spans = []
    for day in range(7):
        edges = sorted(chance.sample(range(0, 24 * 60 + 1, 5), 4)) if chance.random() < 0.6 else []
        spans += [(day, edges[n], edges[n + 1]) for n in range(0, len(edges), 2)]
    team = _team(*spans, zone=chance.choice(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]))
    changes = [
        datetime(2026, 3, 28, 20, tzinfo=UTC),
        datetime(2026, 10, 31, 20, tzinfo=UTC),
        datetime(2026, 10, 3, 10, tzinfo=UTC),
    ]
    start = chance.choice(changes)
    minutes = [start + timedelta(minutes=number) for number in range(24 * 60)]
    walked = next((moment for moment in minutes if is_open(team, moment)), None)
    found = next_opening(team, start)
    assert found == walked or (walked is None and (found is None or found > minutes[-1]))


def test_the_default_team_is_made_once() -> None:
    first = default_team()
    assert (first.name, first.always_open, first.is_default) == ("Support", True, True)
    assert default_team() == first and Team.objects.count() == 1
