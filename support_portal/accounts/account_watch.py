"""Close the sockets of people whose access has ended: one listener a process for all of its sockets.

News of a change arrives over Redis and is acted on at once; and because such news can be lost, everybody is asked about every
few seconds, which also finds sessions that have expired.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import redis.asyncio
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from redis.exceptions import RedisError

from chatbot.telemetry import log_crash
from support_portal.accounts.sessions import CHANNEL, Pass, all_allowed

RECHECK_S = 10.0
RETRY_S = 1.0

Ended = Callable[[], Awaitable[None]]


@dataclass(eq=False)
class Watch:
    entry: Pass
    ended: Ended


class AccountWatch:
    """Create one an event loop; its task lives while there is somebody to watch."""

    def __init__(self) -> None:
        self._watches: list[Watch] = []
        self._task: asyncio.Task[None] | None = None

    def watch(self, user_id: int, *, session_key: str, right: str, ended: Ended) -> Watch:
        """Await `ended` once when this person may no longer do this in this session. The caller has checked it a moment ago."""
        watch = Watch(Pass(user_id, session_key, right), ended)
        self._watches.append(watch)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._listen_forever())
        return watch

    def unwatch(self, watch: Watch) -> None:
        with contextlib.suppress(ValueError):
            self._watches.remove(watch)

    async def close(self) -> None:
        self._watches.clear()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _listen_forever(self) -> None:
        while self._watches:
            try:
                await self._listen()
            except (RedisError, OSError):
                await self._check(list(self._watches))
                await asyncio.sleep(RETRY_S)

    async def _listen(self) -> None:
        # Any: redis-py types every answer as a union of all protocols' shapes.
        client: Any = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_timeout=None, socket_connect_timeout=2)
        async with client, client.pubsub() as news:
            await news.subscribe(CHANNEL)
            # Whatever changed before we listened.
            await self._check(list(self._watches))
            checked_at = time.monotonic()
            while self._watches:
                heard = await news.get_message(ignore_subscribe_messages=True, timeout=1.0)
                if heard is not None:
                    user_id = json.loads(heard["data"])["user_id"]
                    await self._check([watch for watch in self._watches if watch.entry.user_id == user_id])
                if time.monotonic() - checked_at > RECHECK_S:
                    await self._check(list(self._watches))
                    checked_at = time.monotonic()

    async def _check(self, watches: list[Watch]) -> None:
        if not watches:
            return
        try:
            allowed = await sync_to_async(_read)([watch.entry for watch in watches])
        except DatabaseError:  # Nobody is shut out because the database is away; the next round asks again.
            return
        for watch, still in zip(watches, allowed, strict=True):
            if not still and watch in self._watches:
                self.unwatch(watch)
                try:
                    await watch.ended()
                except Exception as error:  # One socket that cannot be closed is not the others' business.
                    log_crash("ending a socket", error)


def _read(passes: list[Pass]) -> list[bool]:
    close_old_connections()
    try:
        return all_allowed(passes)
    finally:
        close_old_connections()


_watches: dict[asyncio.AbstractEventLoop, AccountWatch] = {}


def account_watch() -> AccountWatch:
    """The watch of the running event loop; a process has one loop, the tests have many."""
    loop = asyncio.get_running_loop()
    for old in [other for other in _watches if other.is_closed()]:
        del _watches[old]
    return _watches.setdefault(loop, AccountWatch())
