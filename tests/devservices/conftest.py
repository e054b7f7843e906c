"""Real servers in short-lived folders; nothing here touches the test run's own services."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support_portal.devservices.environment import PROJECT_FOLDER
from support_portal.devservices.services import Services


@pytest.fixture
def no_given_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the test run's own servers, for code that reads the real environment."""
    for name in ("DATABASE_URL", "REDIS_URL", "PORT", "DATA_DIR", "MAKELEVEL", "ANSWERDESK_TEST_SERVICES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """Running services in tmp_path/data."""
    running = Services(tmp_path / "data", given={}, purpose="the first one", durable=False)
    assert running.lock.take()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a Python program of the project; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:

        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=PROJECT_FOLDER,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()
