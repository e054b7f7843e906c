"""Read a file in a process of its own with hard limits, so that no file can take a worker with it. No Django."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from chatbot.documents.reading.blocks import Block, Reading, ReadingFailed

_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Limits:
    """What one file may take. max_chars: of text in it; output_bytes: of what the process may write."""

    time_s: int = 60
    memory_bytes: int = 1024 * 1024 * 1024
    max_pages: int = 1_000
    max_chars: int = 3_000_000
    output_bytes: int = 32 * 1024 * 1024


LIMITS = Limits()


def read_file(content: bytes, *, name: str, limits: Limits = LIMITS) -> Reading:
    """Raises ReadingFailed, whatever the file does."""
    fields = _run("read", content, name=name, limits=limits)["reading"]
    return Reading(**{**fields, "blocks": tuple(Block(**block) for block in fields["blocks"])})


def sheet_as_csv(content: bytes, *, name: str, limits: Limits = LIMITS) -> str:
    """The first sheet of an XLSX file as CSV. Raises ReadingFailed."""
    return str(_run("sheet", content, name=name, limits=limits)["sheet"])


def _run(what: str, content: bytes, *, name: str, limits: Limits) -> dict[str, Any]:
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as taken:
        given.write(content)
        given.seek(0)
        code = _wait(_start(what, given, taken, name=name, limits=limits), limits=limits)
        taken.seek(0)
        written = taken.read(limits.output_bytes + 1)
    try:
        told: dict[str, Any] = json.loads(written)
    except ValueError as error:
        raise _ended_badly(code, limits=limits) from error
    if "failure" in told:
        raise ReadingFailed(*told["failure"])
    return told


def _start(what: str, given: IO[bytes], taken: IO[bytes], *, name: str, limits: Limits) -> subprocess.Popen[bytes]:
    # No secret and no address of ours: what the child needs is Python's own path.
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "VIRTUAL_ENV", "PYTHONPATH") if key in os.environ}
    told = json.dumps(vars(limits))
    ending = name.rpartition(".")[2][:10] if "." in name else ""
    return subprocess.Popen(
        [sys.executable, "-m", "chatbot.documents.reading.child", what, f"file.{ending}".replace("\x00", ""), told],
        stdin=given,
        stdout=taken,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
        env=kept | {"PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"},
        start_new_session=True,
    )


def _wait(child: subprocess.Popen[bytes], *, limits: Limits) -> int:
    """A child that only sleeps uses no CPU time, so the clock on the wall counts too."""
    try:
        return child.wait(timeout=limits.time_s + 5)
    except subprocess.TimeoutExpired:
        return -signal.SIGXCPU
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def _ended_badly(code: int, *, limits: Limits) -> ReadingFailed:
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return ReadingFailed("document_timeout", f"Reading this file takes longer than {limits.time_s} seconds. Split it.")
    return ReadingFailed("document_malformed", "Reading this file failed; it is damaged or takes too much memory.")
