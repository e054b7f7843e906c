"""The parts of the insight page, each with the sentence above it, its marks and its table. One call reads one panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chatbot.conversations.models import Conversation
from chatbot.insights import definitions, naming, reports
from chatbot.insights.definitions import Definition
from chatbot.insights.reports import Counts, Selection, Slice, Spread, Times, TopicTrend
from support_portal.insight_pages import charts, words
from support_portal.insight_pages.charts import Chart, Share
from support_portal.insight_pages.words import Change

OUTCOME_NAMES = [(one.name, one.title) for one in definitions.OUTCOMES]
CHANNELS = {"page": "Chat page", "widget": "Widget on a website", "api": "Other systems"}
SENTIMENTS = [("negative", "Unhappy"), ("neutral", "Neutral"), ("positive", "Pleased")]


@dataclass(frozen=True)
class Tile:
    definition: Definition
    value: str
    change: Change
    note: str
    spark: str


@dataclass(frozen=True)
class OutcomeRow:
    definition: Definition
    css: str
    count: int
    share: str
    before: str
    change: Change


@dataclass(frozen=True)
class TimeRow:
    definition: Definition
    p50: str
    p90: str
    before_p50: str
    before_p90: str
    change: Change


@dataclass(frozen=True)
class HourCell:
    count: int
    level: int
    title: str


@dataclass(frozen=True)
class TopicRow:
    topic: str
    count: int
    share: str
    bar: float
    change: Change
    spark: str
    course: str
    handed_off: str


@dataclass(frozen=True)
class GroupRow:
    """One team, agent, language or way in."""

    name: str
    count: int
    share: str
    bar: float
    answered: str
    handed_off: str
    abandoned: str
    csat: str
    first: str = ""
    resolution: str = ""


@dataclass(frozen=True)
class ScoreRow:
    points: int
    bot: int
    bot_bar: float
    person: int
    person_bar: float


@dataclass(frozen=True)
class SourceRow:
    title: str
    faq_id: int | None
    count: int
    bar: float
    answered: str
    down: int


@dataclass(frozen=True)
class GapRow:
    gap_id: int
    title: str
    count: int


def tiles(now: Slice, before: Slice, columns: Sequence[Slice]) -> list[Tile]:
    counts, former = now.counts, before.counts

    def share(definition: Definition, better: str, note: str = "") -> Tile:
        name = definition.name
        change = words.points_change(counts.share(name), former.share(name), better=better)  # type: ignore[arg-type]
        course = charts.spark([one.counts.share(name) or 0.0 for one in columns])
        return Tile(definition, words.percent(counts.share(name)), change, note or words.count(getattr(counts, name)), course)

    confirmed = f"{words.count(counts.confirmed)} confirmed, {words.count(counts.assumed)} assumed"
    return [
        Tile(
            definitions.CONVERSATIONS,
            words.count(counts.conversations),
            words.relative_change(counts.conversations, former.conversations),
            f"{words.count(former.conversations)} before",
            charts.spark([one.counts.conversations for one in columns]),
        ),
        share(definitions.ANSWERED, "more", confirmed),
        share(definitions.OUTCOMES[2], "less"),
        share(definitions.OUTCOMES[3], "less"),
        share(definitions.REOPENED, "less"),
        Tile(
            definitions.FIRST_RESPONSE,
            words.duration(now.times.first_response.p50),
            words.relative_change(now.times.first_response.p50, before.times.first_response.p50, better="less"),
            f"nine of ten within {words.duration(now.times.first_response.p90)}",
            charts.spark([one.times.first_response.p50 or 0.0 for one in columns]),
        ),
        _score_tile(definitions.CSAT_BOT, counts, former, columns),
        _score_tile(definitions.CSAT_PERSON, counts, former, columns),
    ]


def _score_tile(definition: Definition, counts: Counts, former: Counts, columns: Sequence[Slice]) -> Tile:
    now, before = getattr(counts, definition.name), getattr(former, definition.name)
    means = [getattr(one.counts, definition.name).mean for one in columns]
    return Tile(
        definition,
        f"{words.score(now.mean)} of 5" if now.given else words.NOTHING,
        words.score_change(now.mean, before.mean),
        f"{words.many(now.given, 'customer')} gave points",
        charts.spark([mean for mean in means if mean is not None]),
    )


def outcome_columns(columns: Sequence[Slice], selection: Selection) -> Chart:
    step = selection.period.step
    titles = [
        f"{words.column_name(one.key, step)}: {words.many(one.counts.conversations, 'conversation')}, "
        f"{one.counts.answered} answered by the bot, {one.counts.handed_off} handed off, {one.counts.abandoned} abandoned"
        for one in columns
    ]
    return charts.stacked_columns(
        [(name, title, [getattr(one.counts, name) for one in columns]) for name, title in OUTCOME_NAMES],
        labels=[words.column_label(one.key, step) for one in columns],
        titles=titles,
    )


def outcome_split(counts: Counts) -> list[Share]:
    return charts.split([(name, title, getattr(counts, name)) for name, title in OUTCOME_NAMES])


def outcome_rows(now: Counts, before: Counts) -> list[OutcomeRow]:
    better = {"confirmed": "more", "assumed": "", "handed_off": "", "abandoned": "less", "open": "", "reopened": "less"}
    return [
        OutcomeRow(
            definition,
            definition.name,
            getattr(now, definition.name),
            words.percent(now.share(definition.name)),
            words.percent(before.share(definition.name)),
            words.points_change(
                now.share(definition.name), before.share(definition.name), better=better[definition.name]  # type: ignore[arg-type]
            ),
        )
        for definition in (*definitions.OUTCOMES, definitions.REOPENED)
    ]  # fmt: skip


def time_rows(now: Times, before: Times, wanted: Sequence[Definition]) -> list[TimeRow]:
    rows = []
    for definition in wanted:
        at, was = getattr(now, definition.name), getattr(before, definition.name)
        change = words.relative_change(at.p50, was.p50, better="less")
        p50, p90, before_p50, before_p90 = (words.duration(value) for value in (at.p50, at.p90, was.p50, was.p90))
        rows.append(TimeRow(definition, p50, p90, before_p50, before_p90, change))
    return rows


def time_lines(columns: Sequence[Slice], selection: Selection, *, name: str) -> Chart:
    """Median and ninth decile of one of Times, over the period."""

    def spread(one: Slice) -> Spread:
        found: Spread = getattr(one.times, name)
        return found

    return charts.lines(
        [
            ("p90", "nine of ten within", [spread(one).p90 for one in columns]),
            ("p50", "half within", [spread(one).p50 for one in columns]),
        ],
        labels=[words.column_label(one.key, selection.period.step) for one in columns],
        names=[words.column_name(one.key, selection.period.step) for one in columns],
        say=words.duration,
        say_tick=words.tick_duration,
    )


def hour_rows(hours: Mapping[tuple[int, int], tuple[int, int]]) -> list[tuple[str, list[HourCell], int]]:
    """(weekday, its 24 hours, its total), Monday first; level 0 to 8 is the shade."""
    most = max((count for count, _ in hours.values()), default=0)
    rows = []
    for weekday, name in enumerate(words.WEEKDAYS):
        cells = []
        for hour in range(24):
            count, handed_off = hours.get((weekday, hour), (0, 0))
            title = f"{name}, {words.hour_range(hour)}: {words.many(count, 'conversation')}, {handed_off} handed off"
            cells.append(HourCell(count, -(-count * 8 // most) if most else 0, title))
        rows.append((name, cells, sum(cell.count for cell in cells)))
    return rows


def topic_rows(trends: Sequence[TopicTrend], *, total: int) -> list[TopicRow]:
    most = max((one.conversations for one in trends), default=0)
    return [
        TopicRow(
            topic=one.topic,
            count=one.conversations,
            share=words.percent(one.conversations / total if total else None),
            bar=charts.bar(one.conversations, most=most),
            change=words.relative_change(one.conversations, one.before),
            spark=charts.spark(one.columns),
            course=", ".join(str(number) for number in one.columns),
            handed_off=words.percent(one.handed_off / one.conversations),
        )
        for one in trends
    ]


def group_rows(
    slices: Sequence[Slice], names: Mapping[Any, str], *, times: Mapping[int, Times] | None = None, about: str = "csat_bot"
) -> list[GroupRow]:
    """names: by key; a key that has none is shown as it is. The largest twelve."""
    shown = slices[: reports.MAX_ROWS]
    total = sum(one.counts.conversations for one in slices)
    most = max((one.counts.conversations for one in shown), default=0)
    return [
        GroupRow(
            name=names.get(one.key) or str(one.key or "Nobody"),
            count=one.counts.conversations,
            share=words.percent(one.counts.conversations / total),
            bar=charts.bar(one.counts.conversations, most=most),
            answered=words.percent(one.counts.share("answered")),
            handed_off=words.percent(one.counts.share("handed_off")),
            abandoned=words.percent(one.counts.share("abandoned")),
            csat=words.score(getattr(one.counts, about).mean),
            first=words.duration(times[one.key].person_response.p50) if times and one.key in times else "",
            resolution=words.duration(times[one.key].resolution.p50) if times and one.key in times else "",
        )
        for one in shown
    ]


def score_rows(points: Mapping[str, Sequence[int]]) -> list[ScoreRow]:
    """Five points first; each bar is a share of those who answered about the same."""
    bot, person = points["bot"], points["person"]
    return [
        ScoreRow(n + 1, bot[n], charts.bar(bot[n], most=sum(bot)), person[n], charts.bar(person[n], most=sum(person)))
        for n in reversed(range(5))
    ]


def sentiment_split(slices: Sequence[Slice]) -> list[Share]:
    known = {one.key: one.counts.conversations for one in slices}
    return charts.split([(key, name, known.get(key, 0)) for key, name in SENTIMENTS])


def handoff_reasons(slices: Sequence[Slice]) -> list[tuple[str, int, float]]:
    """(reason, conversations, length of its bar)."""
    labels = {str(value): str(label) for value, label in Conversation.HandoffReason.choices}
    known = [(labels.get(one.key, one.key), one.counts.conversations) for one in slices if one.key]
    most = max((number for _, number in known), default=0)
    return [(label, number, charts.bar(number, most=most)) for label, number in known]


def source_rows(selection: Selection) -> list[SourceRow]:
    uses = reports.top_sources(selection)
    names = naming.source_names([one.key for one in uses])
    most = max((one.conversations for one in uses), default=0)
    gone = naming.Source("")
    return [
        SourceRow(
            title=names.get(one.key, gone).title or f"{one.key} (deleted)",
            faq_id=names.get(one.key, gone).faq_id,
            count=one.conversations,
            bar=charts.bar(one.conversations, most=most),
            answered=words.percent(one.answered / one.conversations),
            down=one.down,
        )
        for one in uses
    ]


def gap_rows(selection: Selection, *, may_read: bool) -> list[GapRow]:
    """may_read: without the right to read conversations, their words are not shown."""
    gaps = naming.top_gaps(selection.period, most=8)
    texts = naming.message_texts([gap.message_id for gap in gaps]) if may_read else {}
    return [GapRow(gap.gap_id, texts.get(gap.message_id, ""), gap.questions) for gap in gaps]
