"""The whole product as a user starts it, with the scripted engine: for tests that need real processes to talk to or to kill."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from support_portal.devservices.environment import PROJECT_FOLDER
from support_portal.devservices.supervisor import Backoff

START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 15
HEALTHY_AFTER_S = Backoff().healthy_after_s

# How a child of the demo is told apart by its command line.
MARKS = {"web": "uvicorn", "generation": "generation@", "general": "general@", "valkey": "valkey-server", "beat": "beat"}

# Leads to a composed answer, which the script writes: six sentences, three seconds. Two of the questions are sure by themselves;
# were the one between them so too, the published answers would be quoted.
SEVERAL_QUESTIONS = "How long does delivery take? Is there a café in your store? And how do I get an invoice?"
NAMES = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]
SENTENCES = [f"Part {name} of the answer is here. [1]" for name in NAMES]
SENTENCE_GAP_S = 0.5


@dataclass
class Stack:
    port: int
    data_dir: Path
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def accounts(self) -> dict[str, dict[str, str]]:
        """The demo log-ins by user name."""
        rows = json.loads((self.data_dir / "demo-accounts.json").read_text())
        return {row["username"]: row for row in rows}

    def child(self, name: str) -> psutil.Process:
        """The running child, waiting until the supervisor has started it."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for process in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if MARKS[name] in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                        return process
            time.sleep(0.05)
        raise AssertionError(f"{name} does not run")

    def kill(self, name: str) -> None:
        self.child(name).send_signal(signal.SIGKILL)

    def is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_until_settled(self) -> None:
        """Ready, and up long enough for the supervisor to forget an earlier death.

        A part that dies again and again comes back later each time, which is not what the faults are about.
        """
        self.wait_until_ready()
        for name in ("web", "generation", "valkey"):
            age_s = time.time() - self.child(name).create_time()
            time.sleep(max(0.0, HEALTHY_AFTER_S + 1 - age_s))
        self.wait_until_ready()

    def wait_until_ready(self, *, timeout_s: float = 30) -> None:
        deadline = time.monotonic() + timeout_s
        while not self.is_ready():
            assert time.monotonic() < deadline, "the site does not become ready"
            time.sleep(0.1)


def write_script(path: Path) -> Path:
    """What the scripted model says to anything."""
    path.write_text(json.dumps({"match": "", "pieces": [f"{sentence} " for sentence in SENTENCES], "gap_s": SENTENCE_GAP_S}))
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_stack(data_dir: Path, *, script: Path | None = None, **environment: str) -> Iterator[Stack]:
    """Run `make demo`'s own program with services of its own; yields once it has printed its ready line."""
    port = free_port()
    own = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "REDIS_URL", "SECRET_KEY"}}
    own |= {
        "PORT": str(port),
        "DATA_DIR": str(data_dir),
        "ENGINE": "scripted",
        "ENGINE_SCRIPT": str(script or ""),
        "MESSAGES_PER_MINUTE": "100000",
        "DEMO_HISTORY": "0",
    }
    log = data_dir.parent / "stack.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "support_portal.devservices.demo"],
            cwd=PROJECT_FOLDER,
            env=own | environment,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
    try:
        _wait_for_ready_line(process, log)
        yield Stack(port, data_dir, process)
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        finally:
            process.kill()
            if process.stdout is not None:
                process.stdout.close()


def _wait_for_ready_line(process: subprocess.Popen[str], log: Path) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("ready: "):
            return
    raise AssertionError(f"the stack did not start:\n{log.read_text()[-4000:]}")
