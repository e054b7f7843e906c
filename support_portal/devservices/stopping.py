"""Turn SIGINT, SIGTERM and SIGHUP into a request that waiting code looks at."""

import os
import signal
from collections.abc import Callable
from types import FrameType

from support_portal.devservices.processes import die_with_parent, nothing

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Raised by `StopRequest.check` so that every `finally` on the way out runs."""


class StopRequest:
    """The first signal asks to stop; a Ctrl-C after it kills at once, through `kill_now`.

    Another SIGTERM or SIGHUP changes nothing: `make` passes on what the whole group has got already.
    """

    def __init__(self) -> None:
        self.kill_now: Callable[[], None] = nothing
        self._signal: int | None = None

    def listen(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._receive)
        if "MAKELEVEL" in os.environ:  # a killed `make` must not leave the demo behind
            die_with_parent(signal.SIGTERM, parent_pid=os.getppid())

    def check(self) -> None:
        if self._signal is not None:
            raise StopRequested

    @property
    def exit_code(self) -> int:
        """Return the shell's code for Ctrl-C; a stop on request (TERM, HUP) is a success."""
        return 130 if self._signal == signal.SIGINT else 0

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._signal is None:
            self._signal = number
        elif number == signal.SIGINT:
            self.kill_now()
            os._exit(130)
