"""Show what changed between two texts, line by line, as a person reads it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

CONTEXT_LINES = 2


@dataclass(frozen=True)
class Line:
    kind: Literal["added", "removed", "same", "gap"]
    text: str


def differences(old: str, new: str) -> list[Line]:
    """Changed lines with a little around them; empty when nothing differs."""
    lines: list[Line] = []
    for index, group in enumerate(
        difflib.SequenceMatcher(None, old.splitlines(), new.splitlines()).get_grouped_opcodes(CONTEXT_LINES)
    ):
        if index:
            lines.append(Line("gap", "…"))
        for tag, old_start, old_end, new_start, new_end in group:
            if tag == "equal":
                lines += [Line("same", text) for text in old.splitlines()[old_start:old_end]]
                continue
            lines += [Line("removed", text) for text in old.splitlines()[old_start:old_end]]
            lines += [Line("added", text) for text in new.splitlines()[new_start:new_end]]
    return lines
