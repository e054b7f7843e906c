"""A piece of help in work: asked for by a page, done by a worker, looked at until it is ready. It lives in Redis alone.

What was typed travels here and not through the broker: a task is handed its token only. A token belongs to one person; whoever
else asks for it is told that it does not exist. Everything ends by itself after LIVES_S.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

import redis

from chatbot import runtime
from chatbot.errors import NotFound, Unavailable

LIVES_S = 10 * 60
_GONE = "This has taken too long, or it was not asked for by you. Please try again."


@dataclass(frozen=True)
class Job:
    """state: waiting, working, done, failed or cancelled. found: what there is to show so far. message: for the person."""

    state: str
    found: Any = None
    message: str = ""


def begin(asked: dict[str, Any], *, user_id: int) -> str:
    """Put the request down; returns its token. Raises Unavailable while Redis is down."""
    token = uuid.uuid4().hex
    fields: dict[Any, Any] = {"user": user_id, "asked": json.dumps(asked), "job": _packed(Job("waiting"))}
    try:
        with runtime.valkey().pipeline() as pipe:
            pipe.hset(_key(token), mapping=fields)
            pipe.expire(_key(token), LIVES_S)
            pipe.execute()
    except redis.RedisError as error:
        raise Unavailable("This cannot be done now. Saving is not affected.") from error
    return token


def asked_of(token: str) -> dict[str, Any] | None:
    """For the worker: what was asked; None when nobody waits for it any more."""
    found = runtime.valkey().hget(_key(token), "asked")
    if not isinstance(found, bytes) or is_cancelled(token):
        return None
    asked: dict[str, Any] = json.loads(found)
    return asked


def report(token: str, job: Job) -> None:
    """For the worker: say how far it is. A job that has ended its life stays ended."""
    if runtime.valkey().exists(_key(token)) and not is_cancelled(token):
        runtime.valkey().hset(_key(token), "job", _packed(job))


def look(token: str, *, user_id: int) -> Job:
    """For the page. Raises NotFound for a job of somebody else or one that is over, Unavailable while Redis is down."""
    try:
        user, job, cancelled = runtime.valkey().hmget(_key(token), ["user", "job", "cancelled"])
    except redis.RedisError as error:
        raise Unavailable("This cannot be done now. Saving is not affected.") from error
    if user is None or job is None or int(user) != user_id:
        raise NotFound(_GONE)
    return Job("cancelled") if cancelled else Job(**json.loads(job))


def cancel(token: str, *, user_id: int) -> None:
    look(token, user_id=user_id)
    runtime.valkey().hset(_key(token), "cancelled", 1)


def is_cancelled(token: str) -> bool:
    """Also True for a job whose time is over."""
    client = runtime.valkey()
    return bool(client.hexists(_key(token), "cancelled")) or not client.exists(_key(token))


def _key(token: str) -> str:
    return f"assist:{token}"


def _packed(job: Job) -> str:
    return json.dumps({"state": job.state, "found": job.found, "message": job.message})
