"""Was it right? One word for each tried question, and the table of many. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

# right: answered from the expected FAQ. refused_right: nothing answers it, and that was said. asked_back: offered questions
# to choose from. refused: said that it does not know, though a FAQ answers it. wrong: answered from another FAQ, or at all
# where nothing answers.
Verdict = Literal["right", "refused_right", "asked_back", "refused", "wrong", "unjudged"]

GOOD: frozenset[str] = frozenset({"right", "refused_right"})


def judge(*, expected: str | None, judged: bool, decision: str, keys: Sequence[str]) -> Verdict:
    """keys: of the FAQs that the answer cites or quotes."""
    if not judged:
        return "unjudged"
    if decision == "clarify":
        return "asked_back"
    if decision == "handoff":
        return "refused_right" if expected is None else "refused"
    return "right" if expected is not None and expected in keys else "wrong"


@dataclass(frozen=True)
class Judged:
    """One question's row for the table."""

    locale: str
    expected: str | None
    decision: str
    verdict: Verdict
    ttft_s: float | None
    total_s: float


def judged_line(line: Mapping[str, Any], *, judged: bool) -> Judged:
    """Judge a line that `evaluateanswers` has written."""
    keys = [citation["key"] for citation in line["citations"]]
    verdict = judge(expected=line["expected"], judged=judged, decision=line["decision"], keys=keys)
    return Judged(line["locale"], line["expected"], line["decision"], verdict, line["ttft_s"], line["total_s"])


def summary(rows: Sequence[Judged]) -> dict[str, Any]:
    """Counts and shares (0 to 1) over all rows, and again by decision and by locale. JSON-safe."""
    return {
        **_figures(rows),
        "by_decision": {name: _figures(group) for name, group in _groups(rows, lambda row: row.decision)},
        "by_locale": {name: _figures(group) for name, group in _groups(rows, lambda row: row.locale)},
    }


def _groups(rows: Sequence[Judged], name_of: Any) -> Iterable[tuple[str, list[Judged]]]:
    for name in sorted({name_of(row) for row in rows}):
        yield name, [row for row in rows if name_of(row) == name]


def _figures(rows: Sequence[Judged]) -> dict[str, Any]:
    verdicts = Counter(row.verdict for row in rows)
    known = sum(row.expected is not None for row in rows if row.verdict != "unjudged")
    null = sum(row.expected is None for row in rows if row.verdict != "unjudged")
    null_asked_back = sum(row.verdict == "asked_back" and row.expected is None for row in rows)
    first = [row.ttft_s for row in rows if row.ttft_s is not None]
    return {
        "questions": len(rows),
        "answerable": known,
        "unanswerable": null,
        "answered_right": verdicts["right"],
        "answered_right_share": _share(verdicts["right"], known),
        "refused_right": verdicts["refused_right"],
        "refused_right_share": _share(verdicts["refused_right"], null),
        "unanswerable_asked_back": null_asked_back,
        "asked_back": verdicts["asked_back"],
        "refused_though_answerable": verdicts["refused"],
        "wrong": verdicts["wrong"],
        "handed_off": sum(row.decision == "handoff" for row in rows),
        "median_ttft_s": round(median(first), 3) if first else None,
        "median_total_s": round(median(row.total_s for row in rows), 3) if rows else None,
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


_COLUMNS = (
    ("", "name"), ("questions", "questions"), ("right", "answered_right"), ("refused right", "refused_right"),
    ("asked back", "asked_back"), ("handed off", "handed_off"), ("wrong", "wrong"), ("first text s", "median_ttft_s"),
    ("total s", "median_total_s"),
)  # fmt: skip


def table(figures: Mapping[str, Any]) -> str:
    """The summary as text for a terminal."""
    rows = [{"name": "all", **figures}]
    rows += [{"name": f"decision {name}", **group} for name, group in figures["by_decision"].items()]
    rows += [{"name": f"locale {name}", **group} for name, group in figures["by_locale"].items()]
    cells = [[heading for heading, _ in _COLUMNS]]
    cells += [["-" if row[field] is None else str(row[field]) for _, field in _COLUMNS] for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(w) if n == 0 else cell.rjust(w) for n, (cell, w) in enumerate(zip(line, widths, strict=True)))
             for line in cells]  # fmt: skip
    return "\n".join(
        [
            *lines,
            f"answered right: {_percent(figures['answered_right_share'])} of {figures['answerable']} answerable questions",
            f"refused right: {_percent(figures['refused_right_share'])} of {figures['unanswerable']} unanswerable ones"
            f" ({figures['unanswerable_asked_back']} more were asked back)",
        ]
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.1f} %"
