"""Keep a set of processes alive: a dead one is started again, later each time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from support_portal.devservices.processes import Process, stop_all


@dataclass
class Backoff:
    """How long to wait before the next start: doubling from `first_s` to `most_s`, forgotten after a healthy life."""

    first_s: float = 0.5
    most_s: float = 30.0
    healthy_after_s: float = 5.0
    failures: int = 0

    def next_delay_s(self, *, lifetime_s: float) -> float:
        if lifetime_s >= self.healthy_after_s:
            self.failures = 0
        self.failures += 1
        return float(min(self.most_s, self.first_s * 2 ** (self.failures - 1)))


@dataclass
class Watched:
    process: Process
    backoff: Backoff = field(default_factory=Backoff)
    restart_at: float | None = None  # on the clock; None while the process runs
    deaths: int = 0


class Supervisor:
    """Watches from one thread: call `tend` often (every 0.1 s) from the main thread, and `stop` at the end."""

    def __init__(self, *, report: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._watched: list[Watched] = []
        self._report = report
        self._clock = clock

    def start(self, process: Process) -> None:
        process.start()
        self.adopt(process)

    def adopt(self, process: Process) -> None:
        """Watch a process that runs already."""
        self._watched.append(Watched(process))

    def deaths(self) -> dict[str, int]:
        """Return how often each has died so far, by name."""
        return {watched.process.child.name: watched.deaths for watched in self._watched}

    def process(self, name: str) -> Process:
        return next(watched.process for watched in self._watched if watched.process.child.name == name)

    def tend(self) -> None:
        """Notice deaths, and start again whatever has waited long enough."""
        for watched in self._watched:
            if watched.process.is_running:
                continue
            if watched.restart_at is None:
                self._plan_restart(watched)
            elif self._clock() >= watched.restart_at:
                watched.restart_at = None
                watched.process.start()

    def stop(self, *, names: Sequence[str], grace_s: float) -> None:
        """Stop these together, and watch them no longer."""
        chosen = [watched for watched in self._watched if watched.process.child.name in names]
        stop_all([watched.process for watched in chosen], grace_s=grace_s)
        self._watched = [watched for watched in self._watched if watched not in chosen]

    def kill_all(self) -> None:
        for watched in self._watched:
            watched.process.kill()

    def _plan_restart(self, watched: Watched) -> None:
        process = watched.process
        process.kill()  # what the dead leader left in its group
        watched.deaths += 1
        delay_s = watched.backoff.next_delay_s(lifetime_s=process.lifetime_s)
        watched.restart_at = self._clock() + delay_s
        name, log = process.child.name, process.log
        self._report(f"{name} ended (exit code {process.exit_code}); starting it again in {delay_s:g} s. Its log: {log}")
