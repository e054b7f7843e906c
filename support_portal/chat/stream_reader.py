"""The web process's one reader of streams: a single blocking XREAD for all sockets of the process, customers' and desks'.

A socket follows a stream (see chatbot/conversations/publishing.py) from a stream id on; its frames arrive in order through a
callback. When Redis comes back after an absence, entries may be missing, so every follower is told to start again from the
database. A frame with `expires_at_ms` is handed out only until then: a replay shows nobody typing who has long stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import redis.asyncio
from django.conf import settings
from redis.exceptions import RedisError

from chatbot.telemetry import log_event

logger = logging.getLogger(__name__)

BLOCK_MS = 5000
RETRY_S = 0.5
READ_COUNT = 200

Deliver = Callable[[dict[str, Any]], Awaitable[None]]
Restart = Callable[[], Awaitable[None]]


@dataclass(eq=False)
class Follower:
    """One socket's interest in one stream. `after` moves with what was delivered."""

    key: str
    after: str
    deliver: Deliver
    restart: Restart


class StreamReader:
    """Create one an event loop; the reading task lives while there are followers."""

    def __init__(self) -> None:
        # No socket time-out: a blocking read is silent for long. health_check_interval notices a dead connection.
        # Any: redis-py types every answer as a union of all protocols' shapes.
        self._redis: Any = redis.asyncio.Redis.from_url(
            settings.REDIS_URL, socket_timeout=None, socket_connect_timeout=2, health_check_interval=15
        )
        self._followers: dict[str, list[Follower]] = {}
        self._wake_key = f"web:{uuid4()}:wake"
        self._task: asyncio.Task[None] | None = None

    async def tail(self, key: str) -> str:
        """The id of the stream's newest entry; what is read from the database afterwards is at least as new. "" without Redis."""
        with contextlib.suppress(RedisError):
            newest = await asyncio.wait_for(self._redis.xrevrange(key, count=1), timeout=2)
            return newest[0][0].decode() if newest else "0-0"
        return ""

    async def replayable(self, key: str, *, after: str) -> bool:
        """Whether everything after this id is still on the stream, so that a browser needs no snapshot."""
        with contextlib.suppress(RedisError):
            oldest = await asyncio.wait_for(self._redis.xrange(key, count=1), timeout=2)
            return bool(oldest) and _order(oldest[0][0].decode()) <= _order(after)
        return False

    async def follow(self, key: str, *, after: str, deliver: Deliver, restart: Restart) -> Follower:
        follower = Follower(key, after or "0-0", deliver, restart)
        self._followers.setdefault(follower.key, []).append(follower)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read_forever())
        else:
            await self._wake()
        return follower

    async def unfollow(self, follower: Follower) -> None:
        rest = [other for other in self._followers.get(follower.key, []) if other is not follower]
        if rest:
            self._followers[follower.key] = rest
        else:
            self._followers.pop(follower.key, None)

    async def close(self) -> None:
        """End the reading task and the connections; followers hear nothing more."""
        self._followers.clear()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._redis.aclose()

    async def _wake(self) -> None:
        """Interrupt the blocking read, so that it takes the new follower in."""
        with contextlib.suppress(RedisError, TimeoutError):
            await asyncio.wait_for(self._xadd_wake(), timeout=2)

    async def _xadd_wake(self) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            await pipe.xadd(self._wake_key, {"w": "1"}, maxlen=10).expire(self._wake_key, 3600).execute()

    async def _read_forever(self) -> None:
        down_since = 0.0
        wake_after = "0-0"
        while self._followers:
            try:
                if down_since:
                    await self._redis.ping()
                    await self._restart_all(down_ms=(time.monotonic() - down_since) * 1000)
                    down_since = 0.0
                wake_after = await self._read_once(wake_after)
            except (RedisError, OSError):
                down_since = down_since or time.monotonic()
                await asyncio.sleep(RETRY_S)

    async def _read_once(self, wake_after: str) -> str:
        """One XREAD over all followed streams, each from its slowest follower on. Returns the wake stream's new position."""
        positions = {key: min((f.after for f in group), key=_order) for key, group in self._followers.items()}
        found = await self._redis.xread({**positions, self._wake_key: wake_after}, block=BLOCK_MS, count=READ_COUNT)
        for raw_key, entries in found or []:
            key = raw_key.decode()
            if key == self._wake_key:
                wake_after = entries[-1][0].decode()
                continue
            for raw_id, fields in entries:
                await self._hand_out(key, raw_id.decode(), fields[b"frame"])
        return wake_after

    async def _hand_out(self, key: str, entry_id: str, payload: bytes) -> None:
        frame = json.loads(payload)
        frame["stream_id"] = entry_id
        expired = frame.get("expires_at_ms", math.inf) < time.time() * 1000
        for follower in list(self._followers.get(key, [])):
            if _order(entry_id) > _order(follower.after):
                follower.after = entry_id
                if not expired:
                    await _guarded(follower.deliver(frame))

    async def _restart_all(self, *, down_ms: float) -> None:
        followers = [follower for group in self._followers.values() for follower in group]
        log_event("stream.reconnected", subscribers=len(followers), down_ms=down_ms)
        for follower in followers:
            await _guarded(follower.restart())


async def _guarded(sending: Awaitable[None]) -> None:
    """A socket that fails while being written to is its own consumer's business, not the other followers'."""
    try:
        await sending
    except Exception as error:
        logger.info("a socket could not be written to: %s", type(error).__name__)


def _order(stream_id: str) -> tuple[int, int]:
    milliseconds, sequence = stream_id.split("-")
    return int(milliseconds), int(sequence)


_readers: dict[asyncio.AbstractEventLoop, StreamReader] = {}


def stream_reader() -> StreamReader:
    """The reader of the running event loop; a process has one loop, the tests have many."""
    loop = asyncio.get_running_loop()
    for old in [other for other in _readers if other.is_closed()]:
        del _readers[old]
    if loop not in _readers:
        _readers[loop] = StreamReader()
    return _readers[loop]
