from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.generation_report import Figure, Row, alone_figures, ratios, summarise, write_lines


def row(competitor: str, *, speed: float, first: float, chats: int = 8) -> Row:
    return Row(competitor, "m", chats, speed, first, 2 * first, 10.0)


def test_a_row_is_the_median_of_its_rounds_and_has_exactly_the_promised_keys(tmp_path: Path) -> None:
    rounds = [
        {"firsts": [1.0, 2.0, 9.0], "wall_s": 10.0, "tokens": 100},
        {"firsts": [1.0, 3.0, 4.0], "wall_s": 20.0, "tokens": 100},
        {"firsts": [5.0, 5.0, 5.0], "wall_s": 5.0, "tokens": 100},
    ]
    write_lines(tmp_path / "rows.jsonl", [asdict(summarise("engine", "m", chats=3, rounds=rounds))])
    (line,) = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "competitor": "engine",
        "model": "m",
        "chats": 3,
        "output_tok_s": 10.0,
        "ttft_p50_s": 3.0,
        "ttft_max_s": 5.0,
        "wall_s": 10.0,
    }


def test_ratios_stand_beside_their_targets() -> None:
    rows = [
        row("engine", speed=40, first=2),
        row("sequential", speed=4, first=50),
        row("llama.cpp", speed=16, first=8),
        row("engine", speed=50, first=2, chats=16),
        row("llama.cpp", speed=10, first=20, chats=16),
    ]
    found = {figure.figure: figure for figure in ratios(rows)}
    assert (
        found["output tokens/s against sequential, 8 chats"].value,
        found["output tokens/s against llama.cpp, 8 chats"].value,
    ) == (
        10,
        2.5,
    )
    assert found["output tokens/s against sequential, 8 chats"].verdict == "PASS"
    assert found["output tokens/s against llama.cpp, 8 chats"].verdict == "MISS"
    assert found["time to first token against llama.cpp, 8 chats, p50"].verdict == "MISS"
    assert found["output tokens/s against llama.cpp, 16 chats"].verdict == "PASS"
    assert found["time to first token against llama.cpp, 16 chats, p50"].verdict == ""
    assert not any("transformers_cb" in name for name in found)


@pytest.mark.parametrize(
    ("value", "at_least", "verdict"), [(3.0, True, "PASS"), (2.9, True, "MISS"), (3.0, False, "PASS"), (3.1, False, "MISS")]
)
def test_verdict(value: float, at_least: bool, verdict: str) -> None:
    assert Figure("f", "m", value, "x", 3.0, at_least).verdict == verdict
    assert Figure("f", "m", value, "x", 3.0, at_least).as_json()["verdict"] == verdict
    assert verdict in str(Figure("f", "m", value, "x", 3.0, at_least))


def test_one_chat_alone_with_and_without_the_other_server() -> None:
    own, other = {"firsts": [1.0, 2.0, 3.0], "speeds": [10.0, 20.0, 30.0]}, {"firsts": [8.0], "speeds": [40.0]}
    assert [figure.value for figure in alone_figures("m", own, None)] == [20.0, 2.0]
    assert [(figure.value, figure.verdict) for figure in alone_figures("m", own, other)[-2:]] == [(0.5, "PASS"), (0.25, "PASS")]
