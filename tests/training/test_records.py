from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from chatbot.training.records import RatedCompletion, RecordError, Turn, read_records, write_records

GOOD = RatedCompletion([Turn(role="user", content="多久送到？")], "两天。", True, "", "m", "generation:1")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "feedback.jsonl"
    assert write_records([GOOD, GOOD], path) == 2
    assert list(read_records(path)) == [GOOD, GOOD]


@pytest.mark.parametrize("change", [{"prompt": []}, {"label": 1}, {"completion": ""}, {"surprise": 1}])
def test_bad_line_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "feedback.jsonl"
    path.write_text(json.dumps(asdict(GOOD)) + "\n" + json.dumps(asdict(GOOD) | change) + "\n")
    with pytest.raises(RecordError, match="line 2"):
        list(read_records(path))


def test_failed_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "feedback.jsonl"
    path.write_text("old")

    def failing() -> Iterator[RatedCompletion]:
        yield GOOD
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_records(failing(), path)
    assert path.read_text() == "old"
