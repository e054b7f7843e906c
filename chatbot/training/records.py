"""The lines of a training file, in the field's own terms, and their reading and writing. Knows no database.

A rated completion is one line of an "unpaired preference" dataset: a conversational prompt, a completion, and whether it was
good. Source of the format: the dataset types of the TRL documentation.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict


class Turn(TypedDict):
    role: Literal["user", "assistant"]
    content: str


@dataclass(frozen=True)
class RatedCompletion:
    """prompt ends with the user turn that the completion answers. source names where it came from, never who said it."""

    prompt: list[Turn]
    completion: str
    label: bool
    reason: str
    model_version: str
    source: str


class RecordError(ValueError):
    """A line that is no record; says the line and what is wrong with it."""


def write_records(records: Iterable[RatedCompletion], path: Path) -> int:
    """Write one JSON object a line; the file appears whole or not at all. Returns the number of lines."""
    draft = path.with_name(f".{path.name}.draft")
    count = 0
    with draft.open("w", encoding="utf-8") as lines:
        for record in records:
            lines.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
            count += 1
    os.replace(draft, path)
    return count


def read_records(path: Path) -> Iterator[RatedCompletion]:
    """Yield the records of a file. Raises RecordError at the first bad line."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield _checked(json.loads(line))
            except (TypeError, ValueError) as error:
                raise RecordError(f"{path}, line {number}: {error}") from error


def _checked(fields: dict[str, Any]) -> RatedCompletion:
    record = RatedCompletion(**fields)
    if not record.prompt or record.prompt[-1]["role"] != "user":
        raise ValueError("the prompt must end with a user turn")
    if not isinstance(record.label, bool) or not record.completion:
        raise ValueError("label must be true or false, and completion must not be empty")
    return record
