"""The threads in which sockets use the database.

By default all sockets of a process would share a single thread, and a customer's message would wait there behind everything that
agents' lists read. So what people do has a few threads, and the lists, which only look on, have one of their own. The commands of
one socket still come one after the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections

P = ParamSpec("P")
R = TypeVar("R")

# More would only take the interpreter from each other.
_commands = ThreadPoolExecutor(max_workers=4, thread_name_prefix="socket")
_lists = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lists")


def in_thread(function: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    return _in(_commands, function)


def in_list_thread(function: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    return _in(_lists, function)


def _in(threads: ThreadPoolExecutor, function: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    """With the database's connections tidied up around it, as Django does around a request."""

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            close_old_connections()

    return sync_to_async(call, thread_sensitive=False, executor=threads)
