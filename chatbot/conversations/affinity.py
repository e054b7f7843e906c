"""Which generation worker a conversation prefers: the one that still has its earlier turns' keys and values at hand.

A preference, never a condition: the shared queue `generation` is always right, only slower by one reading of the history. Each
worker also listens to a queue of its own. Times and liveness are Valkey's (keys that expire), so no two clocks are compared.
"""

from __future__ import annotations

import contextlib
import time
from functools import cache
from uuid import UUID

import redis
from django.conf import settings
from redis.commands.core import Script

from chatbot import runtime

# Cache slots are few and the oldest go first; after this long a conversation's are most likely gone.
AFFINITY_TTL_S = 600

# One round trip each. Both take a place from the room that the worker has announced, so that what comes between two of its beats
# does not all go the same way; the next beat sets the number right.
_PREFERRED = """
local worker = redis.call('GET', 'affinity:' .. ARGV[1])
if not worker then return false end
local room = redis.call('GET', 'room:' .. worker)
if not room or tonumber(room) < 1 then return false end
redis.call('DECR', 'room:' .. worker)
return worker
"""
_ROOMIEST_OTHER = """
local best, most = false, 0
for _, worker in ipairs(redis.call('ZRANGE', ARGV[2], 0, -1)) do
  local room = tonumber(redis.call('GET', 'room:' .. worker) or 0)
  if worker ~= ARGV[1] and room > most then best, most = worker, room end
end
if best then redis.call('DECR', 'room:' .. best) end
return best
"""


def own_queue(worker: str) -> str:
    return f"generation.{worker}"


def remember(conversation_id: UUID) -> None:
    """This worker has just written for the conversation, so its cache is here."""
    with contextlib.suppress(redis.RedisError):
        runtime.valkey().set(f"affinity:{conversation_id}", runtime.worker_name(), ex=AFFINITY_TTL_S)


def preferred_queue(conversation_id: UUID) -> str | None:
    """The queue of the worker that has this conversation's cache, if that worker lives and could begin at once."""
    return _queue_found("preferred", str(conversation_id))


def roomier_queue() -> str | None:
    """The queue of another worker that could begin at once, where this one could not; None when there is none."""
    stats = runtime.engine().stats()
    if stats.running + stats.waiting < stats.slots:
        return None
    return _queue_found("roomiest", runtime.worker_name(), runtime.WORKERS_KEY)


def drop_queues_of_the_dead() -> None:
    """Remove what lies in the queues of workers that are gone. The sweeper hands the same work to the living.

    A name is kept until the broker has returned the dead worker's unacknowledged messages to its queue for the last time.
    """
    client = runtime.valkey()
    alive = {worker.name for worker in runtime.workers()}
    dead = [name for name in runtime.worker_names() if name not in alive]
    if dead:
        client.delete(*(own_queue(name) for name in dead))
    client.zremrangebyscore(runtime.WORKERS_KEY, 0, (time.time() - 2 * settings.BROKER_VISIBILITY_S) * 1000)


def _queue_found(script: str, *arguments: str) -> str | None:
    try:
        worker = _scripts()[script](args=list(arguments))
    except redis.RedisError:
        return None
    return own_queue(worker.decode()) if worker else None


@cache
def _scripts() -> dict[str, Script]:
    client = runtime.valkey()
    return {"preferred": client.register_script(_PREFERRED), "roomiest": client.register_script(_ROOMIEST_OTHER)}
