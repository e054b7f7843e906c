"""Do one thing to many questions, several at a time, so that the engine's batches fill."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from chatbot.conversations.leases import release_connection

Item = TypeVar("Item")
Result = TypeVar("Result")
# How long one question of a run lets customers go first: a busy day must not starve a run.
GIVE_WAY_S = 20.0


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
