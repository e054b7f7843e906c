"""Whole checkpoints only: a folder counts when its last file, the list of its sizes, is there and right.

The trainer writes a checkpoint file by file; a kill or a full disk in between leaves one that looks like any other. What is not
whole is removed before a run goes on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

_LISTING = "whole.json"
_NAME = re.compile(r"checkpoint-(\d+)\Z")


def seal(folder: Path) -> None:
    """Say that a checkpoint is whole: list its files with their sizes, and make both durable."""
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}
    for name in sizes:
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())
    draft = folder / f".{_LISTING}"
    draft.write_text(json.dumps(sizes))
    os.replace(draft, folder / _LISTING)


def is_whole(folder: Path) -> bool:
    try:
        sizes = json.loads((folder / _LISTING).read_text())
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def last_whole(out: Path) -> Path | None:
    """The newest whole checkpoint of a run's folder; removes what is not whole."""
    found: list[tuple[int, Path]] = []
    for folder in out.glob("checkpoint-*"):
        match = _NAME.match(folder.name)
        if match and is_whole(folder):
            found.append((int(match[1]), folder))
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return max(found)[1] if found else None
