"""What a dataset's folder and a run's folder say of themselves.

A dataset: manifest.json and lines of three methods in three halves, `sft.train.jsonl` to `kto.heldout.jsonl`. A run:
manifest.json with everything that would have to be the same to get the same weights again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from chatbot.training.failures import TrainingError

MANIFEST_FILE = "manifest.json"
METHODS = ("sft", "dpo", "kto")
HALVES = ("train", "tuning", "heldout")
# The worker that started a run tells its process id; a run whose worker is gone ends in good order, for another to go on with.
PARENT_VARIABLE = "TRAINING_PARENT"
_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "safetensors")


def lines_file(data: Path, *, method: str, half: str) -> Path:
    return data / f"{method}.{half}.jsonl"


def lines_so_far(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file that somebody may be writing; none when it is not there."""
    found: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            found.append(json.loads(line))
        except ValueError:  # the line that is being written
            break
    return found


def read_lines(data: Path, *, method: str, half: str) -> list[dict[str, Any]]:
    """Raises TrainingError for a folder without these lines or with a broken one."""
    path = lines_file(data, method=method, half=half)
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except OSError as error:
        raise TrainingError("dataset_missing", f"{path} cannot be read; build the dataset again.") from error
    except ValueError as error:
        raise TrainingError("dataset_broken", f"{path} holds a line that is no JSON; build the dataset again.") from error


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    os.replace(draft, path)


def content_sha256(data: Path) -> str:
    """One hash over all lines of a dataset, whatever order its folder lists them in."""
    total = hashlib.sha256()
    for method in METHODS:
        for half in HALVES:
            path = lines_file(data, method=method, half=half)
            total.update(f"{path.name}\n".encode() + (path.read_bytes() if path.exists() else b""))
    return total.hexdigest()


def line_sha256(prompt: Any, *answers: str) -> str:
    """Of one example's words: the same question with the same answer is the same example in every dataset."""
    return hashlib.sha256(json.dumps([prompt, *answers], ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def write_manifest(folder: Path, fields: Mapping[str, Any]) -> None:
    draft = folder / f".{MANIFEST_FILE}"
    draft.write_text(json.dumps(fields, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")
    os.replace(draft, folder / MANIFEST_FILE)


def read_manifest(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError) as error:
        raise TrainingError("dataset_missing", f"{folder} has no readable {MANIFEST_FILE}.") from error


def versions() -> dict[str, str]:
    return {name: version(name) for name in _LIBRARIES} | {"python": platform.python_version()}
