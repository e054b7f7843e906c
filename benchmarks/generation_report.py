"""Rows, figures and targets: what the benchmark writes down, and whether it is enough. Pure arithmetic."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROW_HEADER = f"{'competitor':<16}{'chats':>6}{'tokens/s':>10}{'ttft p50':>11}{'ttft max':>11}{'wall':>10}"


@dataclass(frozen=True)
class Row:
    """One competitor with one number of chats: medians over the rounds."""

    competitor: str
    model: str
    chats: int
    output_tok_s: float
    ttft_p50_s: float
    ttft_max_s: float
    wall_s: float

    def __str__(self) -> str:
        times = f"{self.ttft_p50_s:>9.2f} s{self.ttft_max_s:>9.2f} s{self.wall_s:>8.1f} s"
        return f"{self.competitor:<16}{self.chats:>6}{self.output_tok_s:>10.1f}{times}"


@dataclass(frozen=True)
class Figure:
    """One number beside its target, if it has one. `at_least` says on which side of the target it has to be."""

    figure: str
    model: str
    value: float
    unit: str = ""
    target: float | None = None
    at_least: bool = False

    @property
    def verdict(self) -> str:
        if self.target is None:
            return ""
        good = self.value >= self.target if self.at_least else self.value <= self.target
        return "PASS" if good else "MISS"

    def __str__(self) -> str:
        target = "" if self.target is None else f"{'>=' if self.at_least else '<='} {self.target:g}{self.unit}"
        return f"{self.figure:<66}{self.value:>10.3f}{self.unit:<6}{target:>12}  {self.verdict}".rstrip()

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"verdict": self.verdict}


def summarise(competitor: str, model: str, *, chats: int, rounds: Sequence[dict[str, Any]]) -> Row:
    """Make a row of what a competitor measured: medians over its rounds.

    rounds: `{"firsts": [seconds, ...], "wall_s", "tokens"}` each.
    """
    numbers = [
        (r["tokens"] / r["wall_s"], statistics.median(r["firsts"]), max(r["firsts"]), r["wall_s"]) for r in rounds if r["firsts"]
    ]
    return Row(competitor, model, chats, *(round(statistics.median(column), 3) for column in zip(*numbers, strict=True)))


def ratios(rows: Iterable[Row]) -> list[Figure]:
    """The engine beside each competitor that ran with as many chats."""
    by_name = {(row.competitor, row.chats): row for row in rows}
    figures = []
    for (name, chats), own in sorted(by_name.items(), key=lambda item: item[0][1]):
        if name != "engine":
            continue
        for other, target in (("sequential", 8.0), ("llama.cpp", 3.0), ("transformers_cb", 3.0), ("static", None)):
            if row := by_name.get((other, chats)):
                times = own.output_tok_s / row.output_tok_s
                figures.append(Figure(f"output tokens/s against {other}, {chats} chats", own.model, times, "x", target, True))
        if row := by_name.get(("llama.cpp", chats)):
            goals = (0.2, 0.3) if chats == 8 else (None, None)
            middle, worst = own.ttft_p50_s / row.ttft_p50_s, own.ttft_max_s / row.ttft_max_s
            text = f"time to first token against llama.cpp, {chats} chats"
            figures.append(Figure(f"{text}, p50", own.model, middle, "x", goals[0]))
            figures.append(Figure(f"{text}, worst", own.model, worst, "x", goals[1]))
    return figures


def alone_figures(model: str, own: dict[str, Any], other: dict[str, Any] | None) -> list[Figure]:
    """One chat alone, absolute and beside llama.cpp: `{"firsts": [...], "speeds": [...]}` each."""
    found = []
    for name, measured in (("engine", own), ("llama.cpp", other)):
        if measured is not None:
            speed, first = statistics.median(measured["speeds"]), statistics.median(measured["firsts"])
            found.append(Figure(f"one chat alone, decode speed of {name}", model, speed, " tok/s"))
            found.append(Figure(f"one chat alone, time to first token of {name}", model, first, " s"))
    if other is not None:
        own_speed, own_first, speed, first = (figure.value for figure in found)
        found.append(Figure("one chat alone, decode speed against llama.cpp", model, own_speed / speed, "x", 0.5, True))
        found.append(Figure("one chat alone, time to first token against llama.cpp", model, own_first / first, "x", 0.4))
    return found


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
