"""Token buckets, one a visitor and kind of command, in this process's memory: Redis may be down, a flood must not get through."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from chatbot.errors import TooFast

MAX_BUCKETS = 50_000


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class Throttle:
    """Allow `burst` commands at once and `per_minute` on the long run, for each key."""

    def __init__(self, *, per_minute: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_minute / 60
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def spend(self, key: str) -> None:
        """Take one token. Raises TooFast, with the seconds until the next one, when there is none."""
        now = self._clock()
        bucket = self._buckets.setdefault(key, _Bucket(self._burst, now))
        self._buckets.move_to_end(key)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.filled_at) * self._rate)
        bucket.filled_at = now
        if bucket.tokens < 1:
            raise TooFast("That was too fast. Please wait a moment.", retry_after_s=round((1 - bucket.tokens) / self._rate, 1))
        bucket.tokens -= 1
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
