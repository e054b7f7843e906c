"""Do one thing to many questions, several at a time, so that the engine's batches fill."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from chatbot.conversations.leases import release_connection
from chatbot.engine.requests import Engine

Item = TypeVar("Item")
Result = TypeVar("Result")
# How long one question of a run lets customers go first, and how often it looks.
_GIVE_WAY_S = 20.0
_LOOK_S = 0.25


def in_order(work: Callable[[Item], Result], items: Iterable[Item], *, workers: int) -> Iterator[Result]:
    """Yield the results in the items' order. One worker works in the caller's thread and on its database connection."""
    if workers == 1:
        yield from map(work, items)
        return

    def one(item: Item) -> Result:
        try:
            return work(item)
        finally:
            release_connection()

    with ThreadPoolExecutor(workers, thread_name_prefix="questions") as pool:
        try:
            yield from pool.map(one, items)
        finally:
            pool.shutdown(cancel_futures=True)


def let_customers_go_first(engine: Engine, *, should_stop: Callable[[], bool]) -> None:
    """Wait while answers for customers are queued, but not for ever: a busy day must not starve a run."""
    until = time.monotonic() + _GIVE_WAY_S
    while engine.stats().waiting and time.monotonic() < until and not should_stop():
        time.sleep(_LOOK_S)
