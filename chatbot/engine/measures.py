"""Numbers about the engine's own work, cheap enough to keep at every step."""

from __future__ import annotations

from collections import deque

WINDOW_S = 10.0
FIRST_GUESS_S = 10.0
# What a refused caller is told lies between these.
SHORTEST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0


class Pace:
    """Steps over the last seconds of work; idle time does not count."""

    def __init__(self, *, window_s: float = WINDOW_S) -> None:
        self.steps_total = 0
        self._window_s = window_s
        self._steps: deque[tuple[float, int]] = deque()
        self._work_s = 0.0
        self._rows = 0

    def add(self, *, step_s: float, rows: int) -> None:
        self.steps_total += 1
        self._steps.append((step_s, rows))
        self._work_s += step_s
        self._rows += rows
        while len(self._steps) > 1 and self._work_s - self._steps[0][0] >= self._window_s:
            old_s, old_rows = self._steps.popleft()
            self._work_s -= old_s
            self._rows -= old_rows

    @property
    def steps_per_s(self) -> float:
        return len(self._steps) / self._work_s if self._work_s > 0 else 0.0

    @property
    def rows_per_step(self) -> float:
        return self._rows / len(self._steps) if self._steps else 0.0


class AnswerTime:
    """How long an answer holds its place: a running mean that follows the last few."""

    def __init__(self) -> None:
        self.mean_s = FIRST_GUESS_S
        self._known = False

    def add(self, answer_s: float) -> None:
        self.mean_s += (answer_s - self.mean_s) * (0.2 if self._known else 1.0)
        self._known = True

    def retry_after_s(self, *, places_ahead: int, places: int) -> float:
        """Seconds until everybody who waits now has been let in, so that who comes back then finds a seat."""
        return min(LONGEST_RETRY_S, max(SHORTEST_RETRY_S, self.mean_s * places_ahead / places))
