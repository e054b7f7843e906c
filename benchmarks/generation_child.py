"""One competitor in a process of its own: fresh memory, its own threads, nothing of another's left behind.

    python -m benchmarks.generation_child COMPETITOR JOB.json RESULT.json

The job carries the prompts as messages and as token ids; the result is what the competitor's `run` returns.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.generation_workload import Chat

ROOT = Path(__file__).resolve().parents[1]
# Nobody inherits how another one's threads wait: each competitor runs with its own library's habit.
NOT_INHERITED = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "GOMP_SPINCOUNT")


class CompetitorFailed(Exception):
    """A competitor ended without a result; the text holds the last lines it said."""


@dataclass(frozen=True)
class Job:
    """rounds: chats that arrive together, one list a round. settings: what only one competitor knows."""

    model: str
    device: str
    dtype: str
    threads: int
    warm: Chat
    rounds: list[list[Chat]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def chats(self) -> int:
        return max((len(chats) for chats in self.rounds), default=1)

    def as_json(self) -> dict[str, Any]:
        rounds = [[chat.as_json() for chat in chats] for chats in self.rounds]
        return asdict(self) | {"warm": self.warm.as_json(), "rounds": rounds}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Job:
        rounds = [[Chat.from_json(chat) for chat in chats] for chats in row["rounds"]]
        return cls(**(row | {"warm": Chat.from_json(row["warm"]), "rounds": rounds}))


# Competitor -> module whose `run(competitor, job)` measures it.
MODULES = {
    "engine": "benchmarks.generation_engine",
    "engine_figures": "benchmarks.generation_figures",
    "engine_quality": "benchmarks.generation_quality",
    "sequential": "benchmarks.generation_transformers",
    "static": "benchmarks.generation_transformers",
    "transformers_cb": "benchmarks.generation_transformers",
    "llama.cpp": "benchmarks.generation_llama",
}


def run_child(competitor: str, job: Job, *, timeout_s: float = 7200) -> Any:
    """Run one competitor and return its result. Raises CompetitorFailed."""
    with tempfile.TemporaryDirectory(prefix="answerdesk-benchmark-") as name:
        given, result, log = Path(name) / "job.json", Path(name) / "result.json", Path(name) / "log"
        given.write_text(json.dumps(job.as_json()), encoding="utf-8")
        command = [sys.executable, "-m", "benchmarks.generation_child", competitor, str(given), str(result)]
        with log.open("w") as stream:
            child = subprocess.Popen(
                command, cwd=ROOT, env=child_environment(os.environ, job), stdout=stream, stderr=stream, start_new_session=True
            )
            try:
                code = child.wait(timeout_s)
            except subprocess.TimeoutExpired:
                raise CompetitorFailed(f"{competitor} took longer than {timeout_s:.0f} s") from None
            finally:
                end_group(child)
        if code or not result.is_file():
            said = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise CompetitorFailed(f"{competitor} ended with code {code}:\n{said}")
        return json.loads(result.read_text(encoding="utf-8"))


def child_environment(environment: Mapping[str, str], job: Job) -> dict[str, str]:
    kept = {name: value for name, value in environment.items() if name not in NOT_INHERITED}
    return kept | {"OMP_NUM_THREADS": str(job.threads), "BENCHMARK_SPAWNED_AT": repr(time.time()), "HF_HUB_OFFLINE": "1"}


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started; it has a session of its own."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    child.wait()


def main() -> None:
    competitor, given, result = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    job = Job.from_json(json.loads(given.read_text(encoding="utf-8")))
    if not competitor.startswith("engine"):  # set by our engine's package, for our engine; torch is not loaded yet
        os.environ.pop("OMP_WAIT_POLICY", None)
    measured = importlib.import_module(MODULES[competitor]).run(competitor, job)
    result.write_text(json.dumps(measured), encoding="utf-8")


if __name__ == "__main__":
    main()
