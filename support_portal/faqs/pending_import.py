"""Keep an uploaded file between the look at what it would change and the click that changes it.

The file waits in Redis, where every web process finds it: compressed, under its uploader's id and its own hash, for a quarter
of an hour. What is confirmed is therefore what was looked at, by the one who looked.
"""

from __future__ import annotations

import contextlib
import hashlib
import zlib

import redis

from chatbot import runtime
from chatbot.errors import NotFound, Unavailable

KEPT_S = 15 * 60


def keep_upload(content: bytes, *, user_id: int) -> str:
    """Store the file; returns the token that fetches it. Raises Unavailable while Redis is down."""
    token = hashlib.sha256(content).hexdigest()
    try:
        runtime.valkey().set(_key(token, user_id=user_id), zlib.compress(content, 1), ex=KEPT_S)
    except redis.RedisError as error:
        raise Unavailable("The file could not be kept for the next step. Please try again in a minute.") from error
    return token


def kept_upload(token: str, *, user_id: int) -> bytes:
    """Raises NotFound when it was never looked at by this person, or too long ago."""
    try:
        packed = runtime.valkey().get(_key(token, user_id=user_id))
    except redis.RedisError as error:
        raise Unavailable("The uploaded file cannot be reached now. Please try again in a minute.") from error
    if not isinstance(packed, bytes):
        raise NotFound("This upload is older than 15 minutes. Please choose the file again.")
    return zlib.decompress(packed)


def forget_upload(token: str, *, user_id: int) -> None:
    with contextlib.suppress(redis.RedisError):  # It ends by itself.
        runtime.valkey().delete(_key(token, user_id=user_id))


def _key(token: str, *, user_id: int) -> str:
    # The token comes back from a browser; hashing it again keeps odd characters and sizes out of the key.
    return f"faq-import:{user_id}:{hashlib.sha256(token.encode()).hexdigest()}"
