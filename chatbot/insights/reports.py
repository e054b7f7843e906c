"""What the insight pages show, one query a panel, over the facts of one period and the one before. Reads only.

Callers have checked the right. No message text is read here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection

from chatbot.insights.definitions import GOOD_SCORE
from chatbot.insights.models import FactsState
from chatbot.insights.periods import Period

MAX_ROWS = 12
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Selection:
    """Which conversations: of one team, one language, one way in, where they are given."""

    period: Period
    team: int | None = None
    locale: str = ""
    channel: str = ""

    @property
    def parameters(self) -> dict[str, Any]:
        period, before = self.period, self.period.before
        return {
            "earliest": before.starts,
            "starts": period.starts,
            "ends": period.ends,
            "zone": period.zone.key,
            "step": period.step,
            "team": self.team,
            "locale": self.locale,
            "channel": self.channel,
            "good": GOOD_SCORE,
        }

    def where(self, *, since: str = "starts") -> str:
        """The conditions, with the names of `parameters`; since: "earliest" takes the period before as well."""
        conditions = [f"begun_at >= %({since})s", "begun_at < %(ends)s"]
        conditions += ["team_id = %(team)s"] if self.team is not None else []
        conditions += ["locale = %(locale)s"] if self.locale else []
        conditions += ["channel = %(channel)s"] if self.channel else []
        return " AND ".join(conditions)


@dataclass(frozen=True)
class Spread:
    """The middle value and the one that nine of ten stay below, in seconds; None where there is nothing to measure."""

    p50: float | None = None
    p90: float | None = None


@dataclass(frozen=True)
class Score:
    """mean of one to five; good: with GOOD_SCORE points and more."""

    given: int = 0
    mean: float | None = None
    good: int = 0


@dataclass(frozen=True)
class Counts:
    conversations: int = 0
    confirmed: int = 0
    assumed: int = 0
    handed_off: int = 0
    abandoned: int = 0
    open: int = 0
    reopened: int = 0
    up: int = 0
    down: int = 0
    csat_bot: Score = Score()
    csat_person: Score = Score()

    @property
    def answered(self) -> int:
        return self.confirmed + self.assumed

    def share(self, name: str) -> float | None:
        """Of all conversations; None where there are none."""
        return getattr(self, name) / self.conversations if self.conversations else None


@dataclass(frozen=True)
class Times:
    first_response: Spread = Spread()
    person_response: Spread = Spread()
    resolution: Spread = Spread()
    queue: Spread = Spread()
    first_text: Spread = Spread()
    tokens_per_s: Spread = Spread()


@dataclass(frozen=True)
class Slice:
    """The conversations of one day, team, agent, topic ...; key: None where they have none."""

    key: Any
    counts: Counts
    times: Times = Times()


@dataclass(frozen=True)
class TopicTrend:
    """columns: conversations in each of the period's columns; before: in the whole period before."""

    topic: str
    conversations: int
    before: int
    columns: list[int]
    handed_off: int


@dataclass(frozen=True)
class SourceUse:
    key: str
    conversations: int
    answered: int
    down: int


_COUNTS = """
    count(*) AS conversations,
    count(*) FILTER (WHERE outcome = 'confirmed') AS confirmed,
    count(*) FILTER (WHERE outcome = 'assumed') AS assumed,
    count(*) FILTER (WHERE outcome = 'handed_off') AS handed_off,
    count(*) FILTER (WHERE outcome = 'abandoned') AS abandoned,
    count(*) FILTER (WHERE outcome = 'open') AS open,
    count(*) FILTER (WHERE reopened) AS reopened,
    coalesce(sum(thumbs_up), 0) AS up,
    coalesce(sum(thumbs_down), 0) AS down,
    count(csat_bot) AS bot_given, avg(csat_bot)::float AS bot_mean, count(*) FILTER (WHERE csat_bot >= %(good)s) AS bot_good,
    count(csat_person) AS person_given, avg(csat_person)::float AS person_mean,
    count(*) FILTER (WHERE csat_person >= %(good)s) AS person_good
"""
_PLAIN = ("conversations", "confirmed", "assumed", "handed_off", "abandoned", "open", "reopened", "up", "down")
_TIMES = ("first_response", "person_response", "resolution", "queue", "first_text", "tokens_per_s")


def _spreads(*wanted: str) -> str:
    """Medians and ninth deciles of these times; a sort each, so only what a panel shows. The others are NULL."""
    parts = []
    for name in _TIMES:
        column = name if name.endswith("_s") else f"{name}_s"
        spread = f"percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY {column})"
        parts.append(f"{spread if name in wanted else 'NULL::float[]'} AS {name}")
    return ", ".join(parts)


_COLUMN = "date_trunc(%(step)s, begun_at AT TIME ZONE %(zone)s)::date"
_DIMENSIONS = ("team_id", "agent_id", "channel", "locale", "sentiment", "handoff_reason", "topic")


def totals(selection: Selection) -> tuple[Slice, Slice]:
    """The period, and the one before it."""
    found = _rows(
        f"SELECT begun_at >= %(starts)s AS now, {_COUNTS}, {_spreads(*_TIMES)} FROM insights_conversationfact "
        f"WHERE {selection.where(since='earliest')} GROUP BY 1",
        selection,
    )
    by_period = {row["now"]: Slice(row["now"], _counts(row), _times(row)) for row in found}
    return by_period.get(True, Slice(True, Counts())), by_period.get(False, Slice(False, Counts()))


def by_column(selection: Selection) -> list[Slice]:
    """One slice for each day (week, month) of the period, those without conversations too."""
    found = _rows(
        f"SELECT {_COLUMN} AS key, {_COUNTS}, {_spreads('first_response', 'person_response', 'first_text')} "
        f"FROM insights_conversationfact WHERE {selection.where()} GROUP BY 1",
        selection,
    )
    by_date = {row["key"]: Slice(row["key"], _counts(row), _times(row)) for row in found}
    return [by_date.get(day, Slice(day, Counts())) for day in selection.period.columns]


def by_hour(selection: Selection) -> dict[tuple[int, int], tuple[int, int]]:
    """(weekday with Monday 0, hour) -> (conversations, handed off); hours without conversations are absent."""
    found = _rows(
        "SELECT extract(isodow FROM local)::int - 1 AS weekday, extract(hour FROM local)::int AS hour, "
        "count(*) AS conversations, count(*) FILTER (WHERE outcome = 'handed_off') AS handed_off "
        "FROM (SELECT begun_at AT TIME ZONE %(zone)s AS local, outcome "
        f"FROM insights_conversationfact WHERE {selection.where()}) AS hours GROUP BY 1, 2",
        selection,
    )
    return {(row["weekday"], row["hour"]): (row["conversations"], row["handed_off"]) for row in found}


def by_dimension(selection: Selection) -> dict[str, list[Slice]]:
    """For each of team_id, agent_id, channel, locale, sentiment, handoff_reason, topic: its slices, the largest first."""
    sets = ", ".join(f"({name})" for name in _DIMENSIONS)
    found = _rows(
        f"SELECT {', '.join(_DIMENSIONS)}, grouping({', '.join(_DIMENSIONS)}) AS which, {_COUNTS} FROM insights_conversationfact "
        f"WHERE {selection.where()} GROUP BY GROUPING SETS ({sets})",
        selection,
    )
    slices: dict[str, list[Slice]] = {name: [] for name in _DIMENSIONS}
    for row in found:
        # grouping() has a bit for every column that is summed over; the one that is not is what the row is about.
        name = next(name for bit, name in enumerate(reversed(_DIMENSIONS)) if not row["which"] >> bit & 1)
        slices[name].append(Slice(row[name], _counts(row)))
    return {name: sorted(rows, key=lambda one: (-one.counts.conversations, str(one.key))) for name, rows in slices.items()}


def agent_times(selection: Selection) -> dict[int, Times]:
    """How quickly each agent came, and ended what he had."""
    found = _rows(
        f"SELECT agent_id, {_spreads('person_response', 'resolution')} FROM insights_conversationfact "
        f"WHERE {selection.where()} AND agent_id IS NOT NULL GROUP BY 1",
        selection,
    )
    return {row["agent_id"]: _times(row) for row in found}


def topic_trends(selection: Selection, *, most: int = MAX_ROWS) -> list[TopicTrend]:
    """The topics most talked about in the period, the largest first; conversations without a topic are left out."""
    found = _rows(
        f"SELECT topic, CASE WHEN begun_at >= %(starts)s THEN {_COLUMN} END AS day, count(*) AS conversations, "
        "count(*) FILTER (WHERE outcome = 'handed_off') AS handed_off FROM insights_conversationfact "
        f"WHERE {selection.where(since='earliest')} AND topic <> '' GROUP BY 1, 2",
        selection,
    )
    rows: dict[str, dict[date | None, Row]] = defaultdict(dict)
    for row in found:
        rows[row["topic"]][row["day"]] = row
    trends = [_trend(topic, days, columns=selection.period.columns) for topic, days in rows.items()]
    return sorted((one for one in trends if one.conversations), key=lambda one: (-one.conversations, one.topic))[:most]


def satisfaction(selection: Selection) -> dict[str, list[int]]:
    """How often customers gave one, two, three, four, five points: to "bot" and to "person"."""
    found = _rows(
        "SELECT csat_bot, csat_person, grouping(csat_bot) AS of_person, count(*) AS given FROM insights_conversationfact "
        f"WHERE {selection.where()} AND (csat_bot IS NOT NULL OR csat_person IS NOT NULL) "
        "GROUP BY GROUPING SETS ((csat_bot), (csat_person))",
        selection,
    )
    points = {"bot": [0] * 5, "person": [0] * 5}
    for row in found:
        given = row["csat_person"] if row["of_person"] else row["csat_bot"]
        if given:
            points["person" if row["of_person"] else "bot"][given - 1] = row["given"]
    return points


def top_sources(selection: Selection, *, most: int = MAX_ROWS) -> list[SourceUse]:
    """The FAQs and passages that answers rest on in most conversations."""
    found = _rows(
        "SELECT key, count(*) AS conversations, count(*) FILTER (WHERE outcome IN ('confirmed', 'assumed')) AS answered, "
        "count(*) FILTER (WHERE thumbs_down > 0) AS down FROM insights_conversationfact, unnest(sources) AS key "
        f"WHERE {selection.where()} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {most:d}",
        selection,
    )
    return [SourceUse(**row) for row in found]


def choices(selection: Selection) -> dict[str, list[Any]]:
    """The teams, languages and ways in that occur in both periods, whatever is filtered: what a filter can offer."""
    both = Selection(selection.period)
    found = _rows(
        "SELECT team_id, locale, channel FROM insights_conversationfact "
        f"WHERE {both.where(since='earliest')} GROUP BY GROUPING SETS ((team_id), (locale), (channel))",
        both,
    )
    return {name: sorted({row[name] for row in found if row[name]}) for name in ("team_id", "locale", "channel")}


def counted_to() -> datetime | None:
    """Up to when the facts follow the conversations."""
    return FactsState.objects.values_list("counted_to", flat=True).first()


def _rows(sql: str, selection: Selection) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, selection.parameters)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _counts(row: Row) -> Counts:
    plain: dict[str, Any] = {name: int(row[name]) for name in _PLAIN}
    return Counts(
        **plain,
        csat_bot=Score(given=row["bot_given"], mean=row["bot_mean"], good=row["bot_good"]),
        csat_person=Score(given=row["person_given"], mean=row["person_mean"], good=row["person_good"]),
    )


def _times(row: Row) -> Times:
    return Times(**{name: Spread(*row[name]) if row[name] and row[name][0] is not None else Spread() for name in _TIMES})


def _trend(topic: str, days: Mapping[date | None, Row], *, columns: Sequence[date]) -> TopicTrend:
    now = {day: row for day, row in days.items() if day is not None}
    return TopicTrend(
        topic=topic,
        conversations=sum(row["conversations"] for row in now.values()),
        before=days[None]["conversations"] if None in days else 0,
        columns=[now[day]["conversations"] if day in now else 0 for day in columns],
        handed_off=sum(row["handed_off"] for row in now.values()),
    )
