"""A run's losses as lines over its steps. Pure: the metrics' lines in, coordinates out; insights' chart template draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from support_portal.insight_pages.charts import PLOT_HEIGHT, Chart, Line, Point, Row, Stroke, axis

SERIES = (("loss", "loss-training", "Training"), ("eval_loss", "loss-tuning", "Tuning, unseen"))
# Points a line shows at most; a long run is thinned evenly, and always shows its last one.
MOST_POINTS = 120
LABELS = 6


def chart(lines: Sequence[Mapping[str, Any]], *, steps: int = 0) -> Chart | None:
    """None before anything was measured. steps: where the axis ends, when the run has said so."""
    measured = {key: [(int(line["step"]), float(line[key])) for line in lines if key in line] for key, _, _ in SERIES}
    known = [value for points in measured.values() for _, value in points]
    if not known:
        return None
    last = max(steps, *(step for points in measured.values() for step, _ in points), 1)
    top, ticks = axis(max(known), height=PLOT_HEIGHT, say=lambda value: f"{value:.3g}", durations=True)
    drawn = [_line(measured[key], css=css, name=name, last=last, top=top) for key, css, name in SERIES if measured[key]]
    places = range(LABELS + 1) if last >= LABELS else ()
    labels = [(round(100 * number / LABELS, 2), str(round(last * number / LABELS))) for number in places]
    return Chart(PLOT_HEIGHT, ticks, [(line.css, line.name) for line in drawn], labels, lines=drawn, rows=_rows(measured))


def _line(points: list[tuple[int, float]], *, css: str, name: str, last: int, top: float) -> Line:
    drawn = [
        Point(
            round(100 * step / last, 2), round(PLOT_HEIGHT - value / top * PLOT_HEIGHT, 2), f"Step {step} · {name}: {value:.3f}"
        )
        for step, value in _thinned(points)
    ]
    strokes = [Stroke(a.x, a.y, b.x, b.y) for a, b in zip(drawn, drawn[1:], strict=False)]
    return Line(css, name, drawn, strokes)


def _rows(measured: Mapping[str, list[tuple[int, float]]]) -> list[Row]:
    """Of the steps at which the tuning half was asked, or of all while there is none."""
    losses, tuned = dict(measured["loss"]), dict(measured["eval_loss"])
    steps = sorted(tuned or losses)
    return [Row(str(step), [_said(losses.get(step)), _said(tuned.get(step))]) for step, _ in _thinned([(s, 0.0) for s in steps])]


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    every = -(-len(points) // MOST_POINTS) if points else 1
    return [point for number, point in enumerate(points) if (len(points) - 1 - number) % every == 0]


def _said(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
