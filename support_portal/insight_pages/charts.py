"""Where the marks of a chart stand. Pure: numbers in, coordinates out; templates/insights/charts/ draws them.

Across, everything is in percent of the plot's width, so a chart fits a phone and a slide without a script; down, in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

PLOT_HEIGHT = 200
SPARK_WIDTH, SPARK_HEIGHT = 96, 24
# Of a column's place: the rest is air.
_FILL = 0.72
_MIN_SEGMENT = 1.5


@dataclass(frozen=True)
class Tick:
    y: float
    label: str


@dataclass(frozen=True)
class Segment:
    """css: which of the palette's colours."""

    css: str
    y: float
    height: float


@dataclass(frozen=True)
class Column:
    """title: all of the column in words, where the pointer rests."""

    x: float
    width: float
    middle: float
    title: str
    segments: list[Segment]


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Stroke:
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class Line:
    css: str
    name: str
    points: list[Point]
    strokes: list[Stroke]


@dataclass(frozen=True)
class Row:
    """What a column of the chart shows, in words, for the table behind it."""

    label: str
    values: list[str]


@dataclass(frozen=True)
class Chart:
    """Columns or lines over the same axis. legend: (css, name) in the order of the marks."""

    height: int
    ticks: list[Tick]
    legend: list[tuple[str, str]]
    labels: list[tuple[float, str]]
    columns: list[Column] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Share:
    css: str
    name: str
    count: int
    x: float
    width: float


def stacked_columns(
    series: Sequence[tuple[str, str, Sequence[int]]], *, labels: Sequence[str], titles: Sequence[str], height: int = PLOT_HEIGHT
) -> Chart:
    """series: (css, name, one number a column), the first at the bottom."""
    totals = [sum(values) for values in zip(*(numbers for _, _, numbers in series), strict=True)]
    top, ticks = axis(max(totals, default=0), height=height, say=_plain)
    place = 100 / max(1, len(totals))
    columns = []
    for number, title in enumerate(titles):
        segments, y = [], float(height)
        for css, _, values in series:
            tall = values[number] / top * height
            if values[number]:
                tall = max(tall, _MIN_SEGMENT)
                segments.append(Segment(css, _round(y - tall), _round(tall)))
                y -= tall
        x = number * place + place * (1 - _FILL) / 2
        middle = _round(number * place + place / 2)
        columns.append(Column(_round(x), _round(place * _FILL), middle, title, segments))
    legend = [(css, name) for css, name, _ in series]
    return Chart(height, ticks, legend, _placed(labels, [column.middle for column in columns]), columns=columns)


def lines(
    series: Sequence[tuple[str, str, Sequence[float | None]]],
    *,
    labels: Sequence[str],
    names: Sequence[str],
    say: Callable[[float | None], str],
    say_tick: Callable[[float], str],
    height: int = PLOT_HEIGHT,
) -> Chart:
    """series: (css, name, one value a column, None where nothing was measured); say: a value with its unit.

    labels stand under the axis, names in the table.
    """
    known = [value for _, _, values in series for value in values if value is not None]
    top, ticks = axis(max(known, default=0.0), height=height, say=say_tick, durations=True)
    place = 100 / max(1, len(labels))
    middles = [_round(number * place + place / 2) for number in range(len(labels))]
    drawn = [
        _line(css, name, values, middles=middles, labels=names, top=top, height=height, say=say) for css, name, values in series
    ]
    rows = [Row(name, [say(values[number]) for _, _, values in series]) for number, name in enumerate(names)]
    return Chart(height, ticks, [(css, name) for css, name, _ in series], _placed(labels, middles), lines=drawn, rows=rows)


def _line(
    css: str,
    name: str,
    values: Sequence[float | None],
    *,
    middles: Sequence[float],
    labels: Sequence[str],
    top: float,
    height: int,
    say: Callable[[float | None], str],
) -> Line:
    points = [
        None if value is None else Point(middle, _round(height - value / top * height), f"{label} · {name}: {say(value)}")
        for middle, label, value in zip(middles, labels, values, strict=True)
    ]
    strokes = [Stroke(a.x, a.y, b.x, b.y) for a, b in zip(points, points[1:], strict=False) if a and b]
    return Line(css, name, [point for point in points if point], strokes)


def split(parts: Sequence[tuple[str, str, int]]) -> list[Share]:
    """One bar of the whole width, cut by shares; parts: (css, name, count). Empty ones are left out."""
    total = sum(count for _, _, count in parts)
    found, x = [], 0.0
    for css, name, count in parts:
        if count:
            width = count / total * 100
            found.append(Share(css, name, count, _round(x), _round(width)))
            x += width
    return found


def spark(values: Sequence[float]) -> str:
    """The points of a small line SPARK_WIDTH wide and SPARK_HEIGHT high; empty where one value tells no course."""
    if len(values) < 2:
        return ""
    most, step = max(values) or 1, SPARK_WIDTH / (len(values) - 1)
    inner = SPARK_HEIGHT - 4
    return " ".join(f"{_round(number * step)},{_round(2 + inner - value / most * inner)}" for number, value in enumerate(values))


def bar(value: float, *, most: float) -> float:
    """The length of a bar in percent."""
    return _round(value / most * 100) if most else 0.0


def axis(most: float, *, height: int, say: Callable[[float], str], durations: bool = False) -> tuple[float, list[Tick]]:
    """Where the axis ends, and three to six marks on it, on round numbers."""
    step = _step(most / 4, durations=durations)
    ends = max(step, -(-most // step) * step)
    count = round(ends / step)
    return ends, [Tick(_round(height - number * step / ends * height), say(number * step)) for number in range(count + 1)]


def _step(rough: float, *, durations: bool) -> float:
    """The next round number above: 1, 2, 5, 10 ...; of seconds above a minute: minutes, hours, days."""
    if durations and rough > 10:
        rounds = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
        return float(next((one for one in rounds if one >= rough), -(-rough // 86_400) * 86_400))
    least = 0.1 if durations else 1.0
    scale = least
    while True:
        for factor in (1, 2, 5):
            if scale * factor >= rough:
                return scale * factor
        scale *= 10


def _placed(labels: Sequence[str], middles: Sequence[float], *, most: int = 8) -> list[tuple[float, str]]:
    """Every so many-th label and where it stands, counted from the last one, so that they do not touch on a phone."""
    step = -(-len(labels) // most) if labels else 1
    return list(zip(middles, labels, strict=True))[(len(labels) - 1) % step if labels else 0 :: step]


def _plain(value: float) -> str:
    return f"{value:,.0f}"


def _round(value: float) -> float:
    return round(value, 2)
