"""The web process's one reader of streams: a single blocking XREAD for all sockets of the process, customers' and desks'.

A socket follows a stream (see chatbot/conversations/publishing.py) from a stream id on; its frames arrive in order through a
callback. When Redis comes back after an absence, entries may be missing, so every follower is told to start again from the
database. A socket whose browser reads slowly, or not at all, holds nobody else up: what it has not taken waits for it alone.
A frame with `expires_at_ms` is handed out only until then: a replay shows nobody typing who has long stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
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
# A read names every followed stream, which costs more than what it finds; so what comes close together is read together.
GATHER_S = 0.003
# A browser that is so far behind is shown the present state instead.
MAX_WAITING = 500

Deliver = Callable[[dict[str, Any]], Awaitable[None]]
Restart = Callable[[], Awaitable[None]]


@dataclass(eq=False)
class Follower:
    """One socket's interest in one stream. `after` moves with what was handed out; `waiting`: what the socket has not taken."""

    key: str
    after: str
    deliver: Deliver
    restart: Restart
    waiting: deque[Callable[[], Awaitable[None]]] = field(default_factory=deque)
    sending: asyncio.Task[None] | None = None

    def hand_over(self, frame: dict[str, Any]) -> None:
        self._add(functools.partial(self.deliver, frame))

    def begin_again(self) -> None:
        """Let the socket start from the database; what waits for it is in there."""
        self.waiting.clear()
        self._add(self.restart)

    def _add(self, act: Callable[[], Awaitable[None]]) -> None:
        if len(self.waiting) >= MAX_WAITING:
            self.waiting.clear()
            act = self.restart
        self.waiting.append(act)
        if self.sending is None or self.sending.done():
            self.sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while self.waiting:
            try:
                await self.waiting.popleft()()
            except Exception as error:  # A socket that fails while being written to is its own consumer's business.
                logger.info("a socket could not be written to: %s", type(error).__name__)


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
        follower.waiting.clear()
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
                    self._restart_all(down_ms=(time.monotonic() - down_since) * 1000)
                    down_since = 0.0
                wake_after = await self._read_once(wake_after)
            except (RedisError, OSError):
                down_since = down_since or time.monotonic()
                await asyncio.sleep(RETRY_S)

    async def _read_once(self, wake_after: str) -> str:
        """One XREAD over all followed streams, each from its slowest follower on. Returns the wake stream's new position."""
        positions = {key: min((f.after for f in group), key=_order) for key, group in self._followers.items()}
        found = await self._redis.xread({**positions, self._wake_key: wake_after}, block=BLOCK_MS, count=READ_COUNT)
        read_at = time.monotonic()
        for raw_key, entries in found or []:
            key = raw_key.decode()
            if key == self._wake_key:
                wake_after = entries[-1][0].decode()
                continue
            for raw_id, fields in entries:
                self._hand_out(key, raw_id.decode(), fields[b"frame"])
        # Also lets the sockets write before more is read.
        await asyncio.sleep(max(0.0, read_at + GATHER_S - time.monotonic()))
        return wake_after

    def _hand_out(self, key: str, entry_id: str, payload: bytes) -> None:
        frame = json.loads(payload)
        frame["stream_id"] = entry_id
        expired = frame.get("expires_at_ms", math.inf) < time.time() * 1000
        for follower in list(self._followers.get(key, [])):
            if _order(entry_id) > _order(follower.after):
                follower.after = entry_id
                if not expired:
                    follower.hand_over(frame)

    def _restart_all(self, *, down_ms: float) -> None:
        followers = [follower for group in self._followers.values() for follower in group]
        log_event("stream.reconnected", subscribers=len(followers), down_ms=down_ms)
        for follower in followers:
            follower.begin_again()


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
