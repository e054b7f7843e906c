"""Slow down whoever guesses passwords: count sign-in tries for one name from one address."""

from __future__ import annotations

import contextlib
import hashlib

from django.core.cache import cache
from redis import RedisError

MAX_TRIES = 10
WINDOW_S = 5 * 60


def take_try(username: str, *, address: str) -> bool:
    """Count one try before the password is looked at, so that parallel guesses cannot slip past. False: no try is left.

    Lets everyone try while Redis is down: the staff must get in when something is broken.
    """
    key = _key(username, address=address)
    try:
        cache.add(key, 0, timeout=WINDOW_S)
        return int(cache.incr(key)) <= MAX_TRIES
    except ValueError:  # The window ended between the two calls.
        return True
    except RedisError:
        return True


def forget_tries(username: str, *, address: str) -> None:
    with contextlib.suppress(RedisError):  # The key ends by itself.
        cache.delete(_key(username, address=address))


def _key(username: str, *, address: str) -> str:
    digest = hashlib.sha256(f"{username.strip().casefold()}\n{address}".encode()).hexdigest()
    return f"sign-in:{digest}"
