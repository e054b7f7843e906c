"""Say on stderr what is being done: a spinner with seconds on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time
from types import TracebackType
from typing import Self

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
PLAIN_REMINDER_S = 15.0


class Progress:
    """One step at a time; `tick` it while waiting."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()
        self._title = ""
        self._started_at = 0.0
        self._next_reminder_s = PLAIN_REMINDER_S
        self._drawn = False

    def step(self, title: str) -> Self:
        """Begin a step; use as a context manager."""
        self._title, self._started_at, self._next_reminder_s = title, time.monotonic(), PLAIN_REMINDER_S
        if not self._on_terminal:
            self.say(f"{title} ...")
        return self

    def tick(self) -> None:
        if not self._title:
            return
        elapsed_s = time.monotonic() - self._started_at
        if self._on_terminal:
            frame = SPINNER[int(elapsed_s * 10) % len(SPINNER)]
            write(f"\r\x1b[2K{frame} {self._title} {elapsed_s:.0f} s")
            self._drawn = True
        elif elapsed_s >= self._next_reminder_s:
            self._next_reminder_s += PLAIN_REMINDER_S
            self.say(f"{self._title}: {elapsed_s:.0f} s so far")

    def say(self, line: str) -> None:
        """Print a line of its own above the spinner."""
        self._wipe()
        write(f"{line}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        title, self._title = self._title, ""
        if kind is None:
            self.say(f"{'✓ ' if self._on_terminal else ''}{title}: done in {time.monotonic() - self._started_at:.1f} s")
        else:
            self._wipe()

    def _wipe(self) -> None:
        if self._drawn:
            write("\r\x1b[2K")
            self._drawn = False


def write(text: str) -> None:
    """Write to stderr. A terminal that was closed must not keep us from stopping in order."""
    with contextlib.suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()
