"""The cache, which holds counts of tries and nothing that must be kept: while Redis is down everything is simply not there.

So people can still sign in when something is broken; for that time nobody counts their tries.
"""

from __future__ import annotations

import json
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis import RedisError


class JsonSerializer:
    """Django's own serializer unpickles what it reads; ours can only ever yield data."""

    def dumps(self, value: Any) -> bytes | int:
        # Plain numbers stay numbers, or Redis could not count with them.
        return value if type(value) is int else json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


class ForgivingRedisCache(RedisCache):
    def add(self, *args: Any, **kwargs: Any) -> bool:
        """True while Redis is down, as for a key that nobody has: locks are had, not waited for."""
        try:
            return bool(super().add(*args, **kwargs))
        except RedisError:
            return True

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        try:
            return super().get(key, default, version)
        except RedisError:
            return default

    def set(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().set(*args, **kwargs)
        except RedisError:
            return

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        try:
            return bool(super().delete(*args, **kwargs))
        except RedisError:
            return False
