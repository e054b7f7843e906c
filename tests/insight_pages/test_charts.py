"""Where the marks of a chart stand, and the words beside them."""

from __future__ import annotations

from datetime import date

import pytest

from chatbot.insights.reports import Counts, Slice, Spread, TopicTrend
from support_portal.insight_pages import charts, findings, words


def test_columns_stand_on_each_other_and_inside_the_plot() -> None:
    chart = charts.stacked_columns([("a", "A", [3, 0]), ("b", "B", [7, 5])], labels=["1 Mar", "2 Mar"], titles=["one", "two"])
    first, second = chart.columns
    assert [(part.css, part.y, part.height) for part in first.segments] == [("a", 140.0, 60.0), ("b", 0.0, 140.0)]
    assert [(part.css, part.height) for part in second.segments] == [("b", 100.0)]
    assert [tick.label for tick in chart.ticks] == ["0", "5", "10"] and (chart.ticks[0].y, chart.ticks[-1].y) == (200, 0)
    assert 0 < first.x < first.middle < second.x and second.x + second.width < 100


def test_an_empty_chart_has_an_axis() -> None:
    assert [tick.label for tick in charts.stacked_columns([("a", "A", [0])], labels=["x"], titles=["x"]).ticks] == ["0", "1"]
    drawn = charts.lines([("a", "A", [])], labels=[], names=[], say=words.duration, say_tick=words.tick_duration)
    assert (drawn.lines[0].points, drawn.rows) == ([], [])


def test_a_line_breaks_where_nothing_was_measured() -> None:
    values = [1.0, 2.0, None, 4.0]
    chart = charts.lines(
        [("a", "A", values)], labels=list("wxyz"), names=list("WXYZ"), say=words.duration, say_tick=words.tick_duration
    )
    (line,) = chart.lines
    assert (len(line.points), len(line.strokes)) == (3, 1)
    assert line.points[-1].title == "Z · A: 4.0 s" and chart.rows[2].values == ["–"]


@pytest.mark.parametrize(
    ("most", "labels"),
    [
        (0.7, ["0 s", "0.2 s", "0.4 s", "0.6 s", "0.8 s"]),
        (9, ["0 s", "5 s", "10 s"]),
        (50, ["0 s", "15 s", "30 s", "45 s", "1 min"]),
        (5000, ["0 s", "30 min", "1 h", "1.5 h"]),
        (86_400 * 9, ["0 s", "3 d", "6 d", "9 d"]),
    ],
)
def test_axes_of_times_stand_on_round_numbers(most: float, labels: list[str]) -> None:
    _, ticks = charts.axis(most, height=100, say=words.tick_duration, durations=True)
    assert [tick.label for tick in ticks] == labels


def test_shares_fill_the_bar_and_empty_ones_are_left_out() -> None:
    shares = charts.split([("a", "A", 1), ("b", "B", 0), ("c", "C", 3)])
    assert [(one.css, one.x, one.width) for one in shares] == [("a", 0.0, 25.0), ("c", 25.0, 75.0)]
    assert charts.split([("a", "A", 0)]) == []


def test_sparks() -> None:
    assert charts.spark([0, 10]) == "0.0,22.0 96.0,2.0"
    assert charts.spark([5]) == "" and charts.spark([0, 0, 0]).count(",22.0") == 3


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59, "59 s"),
        (90, "1.5 min"),
        (1800, "30 min"),
        (7200, "2.0 h"),
        (4e5, "4.6 days"),
    ],
)
def test_durations(seconds: float | None, said: str) -> None:
    assert words.duration(seconds) == said


def test_changes_say_which_way_and_whether_that_is_good() -> None:
    assert words.points_change(0.5, 0.4, better="more") == words.Change("10 points", "up", True)
    assert words.points_change(0.5, 0.4, better="less") == words.Change("10 points", "up", False)
    assert words.points_change(0.5, 0.4) == words.Change("10 points", "up", None)
    assert words.points_change(0.5, 0.495).direction == "same" and words.points_change(0.5, None).direction == "unknown"
    assert words.relative_change(50, 100, better="less") == words.Change("50 %", "down", True)
    assert words.relative_change(310, 100).text == "3.1 times as much" and words.relative_change(3, 0).direction == "unknown"


def test_findings_say_what_the_chart_shows_and_no_more() -> None:
    now, before = Counts(conversations=100, confirmed=20, assumed=40), Counts(conversations=100, confirmed=20, assumed=30)
    assert findings.outcomes(now, before).endswith(
        "60 % of the conversations without a person, 10 points more than in the period before"
    )
    assert findings.outcomes(now, Counts(conversations=3)).endswith("without a person")
    assert findings.outcomes(Counts(), before) == "No conversations in this period"
    days = [Slice(date(2026, 3, day), Counts(conversations=day)) for day in (2, 3)]
    assert findings.volume(days, step="day", total=Counts(conversations=50), before=Counts(conversations=40)) == (
        "50 conversations, most of them on Tue 3 Mar; 25 % more than before"
    )
    assert findings.speed("first reply", Spread(4.0, 9.0), Spread(8.0, 9.0)).endswith("that was quicker than before")
    assert findings.speed("first reply", Spread(), Spread()) == "No first reply was measured in this period"
    trends = [TopicTrend("Delivery", 60, 60, [], 0), TopicTrend("Returns", 40, 20, [], 0)]
    assert findings.topics(trends, total=100).endswith("; Returns grew most, with 100 % more than before")
    assert findings.satisfaction({"bot": [0, 0, 1, 0, 0], "person": [0] * 5}).startswith("Too few")
