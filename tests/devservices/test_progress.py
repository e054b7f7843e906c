import io
import sys

import pytest

from support_portal.devservices.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ClosedTerminal(Terminal):
    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_file_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    with progress.step("Loading"):
        progress.tick()
    progress.tick()
    first, last = capsys.readouterr().err.splitlines()
    assert first == "Loading ..."
    assert last.startswith("Loading: done in 0.")


def test_a_long_step_reminds_a_file_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("support_portal.devservices.progress.time.monotonic", lambda: now[0])
    progress = Progress()
    with progress.step("Loading"):
        for now[0] in (5.0, 15.0, 16.0, 31.0):
            progress.tick()
    assert capsys.readouterr().err.splitlines()[1:] == ["Loading: 15 s so far", "Loading: 31 s so far", "Loading: done in 31.0 s"]


def test_a_terminal_gets_a_spinner_that_a_line_does_not_break(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = Progress()
    with progress.step("Loading"):
        progress.tick()
        progress.say("web ended")
    assert terminal.getvalue() == "\r\x1b[2K⠋ Loading 0 s\r\x1b[2Kweb ended\n✓ Loading: done in 0.0 s\n"


def test_a_closed_terminal_does_not_stop_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", ClosedTerminal())
    progress = Progress()
    with progress.step("Loading"):
        progress.tick()
    progress.say("Stopping ...")
    assert progress.step("Next") is progress
