"""What the pages count: one query a panel, the period and the one before, and the filters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chatbot.errors import InvalidInput
from chatbot.insights import facts, naming, reports
from chatbot.insights.periods import between, month_of, recent
from chatbot.insights.reports import Counts, Score, Selection, Slice, SourceUse, Spread
from chatbot.staffing.models import Team
from support_portal.accounts.models import User
from tests.insights.talk import Talk

pytestmark = pytest.mark.django_db
SINGAPORE = ZoneInfo("Asia/Singapore")
# A Wednesday; ten days ending with it, and the ten before.
TODAY = date(2026, 3, 18)
SELECTION = Selection(recent(10, today=TODAY, zone=SINGAPORE))


def _at(day: int, hour: int, minute: int = 0) -> datetime:
    """Of March 2026, in Singapore."""
    return datetime(2026, 3, day, hour, minute, tzinfo=SINGAPORE)


@pytest.fixture
def told(dana: User) -> Team:
    """Six conversations in the period, one before it, one long ago. Returns dana's team."""
    team = Team.objects.create(name="Workshop")
    Talk(at=_at(17, 9), topic="Delivery", sentiment="positive").asks().replies(rating=1, source="a", later=timedelta(seconds=2))
    Talk(at=_at(17, 9, 30), topic="Delivery").asks().replies(source="a", later=timedelta(seconds=4)).ends().rated("bot", 3)
    Talk(at=_at(17, 23, 59), topic="Returns", language="zh-hans").asks().replies(
        rating=-1, source="b", later=timedelta(seconds=6)
    )
    Talk(at=_at(18, 0, 0), topic="Delivery", team=team, sentiment="negative").asks().waits().person(dana).ends().rated(
        "person", 5
    )
    Talk(at=_at(9, 0, 0), channel="widget").asks().replies("handoff", later=timedelta(seconds=8))
    Talk(at=_at(12, 12)).asks().replies(later=timedelta(seconds=1)).asks(later=timedelta(hours=30)).replies()
    Talk(at=_at(8, 23, 59), topic="Delivery").asks().replies(rating=1)
    Talk(at=_at(1, 12) - timedelta(days=30)).asks().replies()
    facts.refresh()
    return team


def test_totals_of_the_period_and_the_one_before(told: Team) -> None:
    now, before = reports.totals(SELECTION)
    assert now.counts == Counts(
        conversations=6,
        confirmed=1,
        assumed=2,
        handed_off=1,
        abandoned=2,
        reopened=1,
        up=1,
        down=1,
        csat_bot=Score(given=1, mean=3.0, good=0),
        csat_person=Score(given=1, mean=5.0, good=1),
    )
    assert (now.counts.answered, now.counts.share("answered"), Counts().share("answered")) == (3, 0.5, None)
    assert (before.counts.conversations, before.counts.confirmed) == (1, 1)


def test_half_and_nine_of_ten(told: Team) -> None:
    now, before = reports.totals(SELECTION)
    # 1, 2, 4, 6, 8 seconds of the bot, two minutes of a person.
    assert now.times.first_response == Spread(5.0, 64.0)
    assert now.times.person_response == Spread(120.0, 120.0)
    assert before.times.person_response == Spread(None, None)


def test_days_are_days_of_the_company_and_none_is_missing(told: Team) -> None:
    found = {one.key.day: one.counts.conversations for one in reports.by_column(SELECTION)}
    assert found == {9: 1, 10: 0, 11: 0, 12: 1, 13: 0, 14: 0, 15: 0, 16: 0, 17: 3, 18: 1}


def test_hours_are_hours_of_the_company(told: Team) -> None:
    assert reports.by_hour(SELECTION) == {(1, 9): (2, 0), (1, 23): (1, 0), (2, 0): (1, 1), (0, 0): (1, 0), (3, 12): (1, 0)}


def test_each_dimension_adds_up_to_all(told: Team, dana: User) -> None:
    found = reports.by_dimension(SELECTION)

    def numbers(name: str) -> list[tuple[Any, int]]:
        return [(one.key, one.counts.conversations) for one in found[name]]

    assert {name: sum(one.counts.conversations for one in slices) for name, slices in found.items()} == dict.fromkeys(found, 6)
    assert numbers("team_id") == [(None, 5), (told.pk, 1)]
    assert numbers("agent_id") == [(None, 5), (dana.pk, 1)]
    assert numbers("locale") == [("en", 5), ("zh-hans", 1)]
    assert numbers("channel") == [("page", 5), ("widget", 1)]
    assert numbers("sentiment") == [("", 4), ("negative", 1), ("positive", 1)]
    assert numbers("handoff_reason") == [("", 5), ("asked", 1)]
    assert numbers("topic") == [("Delivery", 3), ("", 2), ("Returns", 1)]
    assert reports.agent_times(SELECTION)[dana.pk].resolution == Spread(180.0, 180.0)


def test_topics_and_their_course(told: Team) -> None:
    delivery, returns = reports.topic_trends(SELECTION)
    assert (delivery.topic, delivery.conversations, delivery.before, delivery.handed_off) == ("Delivery", 3, 1, 1)
    assert delivery.columns == [0, 0, 0, 0, 0, 0, 0, 0, 2, 1]
    assert (returns.topic, returns.conversations, returns.before) == ("Returns", 1, 0)


def test_points_sources_and_choices(told: Team) -> None:
    assert reports.satisfaction(SELECTION) == {"bot": [0, 0, 1, 0, 0], "person": [0, 0, 0, 0, 1]}
    assert reports.top_sources(SELECTION) == [SourceUse("a", 2, 2, 0), SourceUse("b", 1, 0, 1)]
    assert reports.choices(SELECTION) == {"team_id": [told.pk], "locale": ["en", "zh-hans"], "channel": ["page", "widget"]}


@pytest.mark.parametrize(
    ("chosen", "conversations"),
    [
        (lambda team: {"team": team.pk}, 1),
        (lambda team: {"locale": "zh-hans"}, 1),
        (lambda team: {"channel": "widget"}, 1),
        (lambda team: {"channel": "widget", "locale": "zh-hans"}, 0),
        (lambda team: {"locale": "'; DROP TABLE insights_conversationfact; --"}, 0),
    ],
)
def test_filters(told: Team, chosen: Callable[[Team], dict[str, Any]], conversations: int) -> None:
    selection = Selection(SELECTION.period, **chosen(told))
    assert reports.totals(selection)[0].counts.conversations == conversations
    assert sum(one.counts.conversations for one in reports.by_column(selection)) == conversations


def test_an_empty_house() -> None:
    assert reports.totals(SELECTION) == (Slice(True, Counts()), Slice(False, Counts()))
    assert reports.by_hour(SELECTION) == {} and reports.topic_trends(SELECTION) == [] and reports.top_sources(SELECTION) == []
    assert naming.top_gaps(SELECTION.period, most=5) == []


def test_each_panel_is_one_query(told: Team) -> None:
    panels = [
        *(reports.totals, reports.by_column, reports.by_hour, reports.by_dimension, reports.agent_times),
        *(reports.topic_trends, reports.satisfaction, reports.top_sources, reports.choices),
    ]
    for panel in panels:
        with CaptureQueriesContext(connection) as caught:
            panel(SELECTION)
        assert len(caught) == 1, panel


def test_periods() -> None:
    period = month_of(date(2026, 2, 10), zone=SINGAPORE)
    assert (period.first, period.last, period.days, period.before.first) == (
        date(2026, 2, 1),
        date(2026, 2, 28),
        28,
        date(2026, 1, 4),
    )
    assert period.starts.isoformat() == "2026-02-01T00:00:00+08:00" and period.ends.isoformat() == "2026-03-01T00:00:00+08:00"
    long = between(date(2026, 1, 1), date(2026, 3, 18), zone=SINGAPORE)
    assert (long.step, long.columns[0], long.columns[-1], len(long.columns)) == (
        "week",
        date(2025, 12, 29),
        date(2026, 3, 16),
        12,
    )
    year = between(date(2025, 1, 15), date(2025, 12, 31), zone=SINGAPORE)
    assert (year.step, year.columns[0], len(year.columns)) == ("month", date(2025, 1, 1), 12)
    for first, last in [(date(2026, 3, 2), date(2026, 3, 1)), (date(2020, 1, 1), date(2026, 1, 1))]:
        with pytest.raises(InvalidInput):
            between(first, last, zone=SINGAPORE)
