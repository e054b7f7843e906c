"""Who waits for this process's engine, in order of arrival: so that a customer can be told how many answers are ahead.

The engine tells how many wait, not who. Those who came later are taken off; what is left is ahead. A place that was told once
never grows.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator

from chatbot.engine.requests import Engine


class Place:
    """One answer's place; held until its first text comes or it gives up. For one thread."""

    def __init__(self, of: Line, *, number: int, engine: Engine) -> None:
        self._line = of
        self._number = number
        self._engine = engine
        self._told: int | None = None
        self.held = True

    def may_ask_again(self) -> bool:
        """Of those whom the engine has refused, the first asks first."""
        return self._line.refuse(self._number)

    def accepted(self) -> None:
        self._line.accept(self._number)

    def ahead(self, *, refused: bool = False) -> int:
        """How many answers begin before this one. refused: it is not in the engine's own queue, which is therefore ahead."""
        earlier, later = self._line.around(self._number)
        waiting = self._engine.stats().waiting
        found = max(waiting, earlier) if refused else max(waiting - 1 - later, 0)
        self._told = found if self._told is None else min(found, self._told)
        return self._told

    def leave(self) -> None:
        if self.held:
            self.held = False
            self._line.remove(self._number)


class Line:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._held: set[int] = set()
        self._refused: set[int] = set()

    @contextlib.contextmanager
    def join(self, engine: Engine) -> Iterator[Place]:
        with self._lock:
            number = next(self._numbers)
            self._held.add(number)
        place = Place(self, number=number, engine=engine)
        try:
            yield place
        finally:
            place.leave()

    def around(self, number: int) -> tuple[int, int]:
        """How many came earlier, and how many later, of those who still wait for their first text."""
        with self._lock:
            earlier = sum(1 for held in self._held if held < number)
            return earlier, len(self._held) - earlier - 1

    def refuse(self, number: int) -> bool:
        """Note that the engine was full; tells whether everyone refused earlier has been taken since."""
        with self._lock:
            self._refused.add(number)
            return number == min(self._refused)

    def accept(self, number: int) -> None:
        with self._lock:
            self._refused.discard(number)

    def remove(self, number: int) -> None:
        with self._lock:
            self._held.discard(number)
            self._refused.discard(number)


# One engine a process, one line before it.
line = Line()
