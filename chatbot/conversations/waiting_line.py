"""Tell customers whose replies no worker has taken yet how many are ahead of them, in the whole installation.

The line is the replies that are not finished, oldest first; as many of them as the living workers have slots are being written.
Counted so, a place can only fall while workers stay: a reply that goes from the outbox into an engine, or back when its worker
dies, keeps its place. Once a worker has taken a reply, that worker tells its place (answering/composing.py).
"""

from __future__ import annotations

from datetime import timedelta

import redis
from django.db.models import QuerySet
from django.utils import timezone

from chatbot import runtime
from chatbot.conversations import publishing
from chatbot.conversations.models import Generation
from chatbot.protocol import ReplyWaiting

TELL_S = 2
# Whoever is served at once needs to hear of no queue.
UNTOLD_S = 1
# The first of the line; those behind see "Still working" until they come into sight.
BATCH = 500


def tell_places() -> int:
    """Publish every waiting reply's place; returns how many. One worker of the installation does it at a time."""
    if not runtime.valkey().set("waiting_line:teller", runtime.worker_name(), nx=True, px=TELL_S * 1000 - 100):
        return 0
    line = list(_unfinished().order_by("pk").values_list("status", "created_at", "conversation_id", "reply_id", "fence")[:BATCH])
    told_from = timezone.now() - timedelta(seconds=UNTOLD_S)
    if not any(status == Generation.Status.PENDING and created_at < told_from for status, created_at, *_ in line):
        return 0
    slots = _slots()
    frames = [
        (conversation_id, ReplyWaiting(message_id=reply_id, attempt=fence, position=max(0, place - slots)))
        for place, (status, created_at, conversation_id, reply_id, fence) in enumerate(line)
        if status == Generation.Status.PENDING and created_at < told_from
    ]
    publishing.announce_all(frames)
    return len(frames)


def ahead_of(generation: Generation) -> int | None:
    """How many are ahead of a reply that no worker has taken; None for any other, and while Valkey is away."""
    if generation.status != Generation.Status.PENDING:
        return None
    try:
        slots = _slots()
    except redis.RedisError:
        return None
    return max(0, _unfinished().filter(pk__lt=generation.pk).count() - slots)


def _unfinished() -> QuerySet[Generation]:
    return Generation.objects.filter(status__in=[Generation.Status.PENDING, Generation.Status.RUNNING])


def _slots() -> int:
    return sum(worker.slots for worker in runtime.workers())
