"""The Celery doors of this room: ids in, one service call."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.db.models.functions import Now
from kombu.entity import Queue
from kombu.exceptions import OperationalError

from chatbot import runtime
from chatbot.conversations import affinity, reply
from chatbot.conversations.models import Generation
from chatbot.telemetry import log_event

# How long work may lie unclaimed before the sweeper hands it over again. A broker that was restarted may have lost it; busy
# workers may merely not have come to it. Handing over twice is harmless, so a short patience costs little.
ENQUEUED_PATIENCE_S = 3
# Only one worker listens to its own queue, and it was chosen because it had room: when it is silent, it is gone.
PREFERRED_PATIENCE_S = 1


@shared_task(name="conversations.reply", ignore_result=True)
def write_reply(generation_id: int, passed_on: bool = False) -> None:
    """passed_on: another worker had no room and sent it here, so it stays."""
    if not passed_on and (queue := affinity.roomier_queue()) and _send(generation_id, queue=queue, passed_on=True):
        return
    following = reply.write_reply(generation_id)
    if following is not None:
        # The conversation's cache is here, and so is a free thread; but nobody will listen to the queue of a worker that stops.
        enqueue(following, queue=None if runtime.stopping.is_set() else affinity.own_queue(runtime.worker_name()))


def enqueue(generation_id: int, *, queue: str | None = None) -> None:
    """Hand a generation to the workers, or through its own queue to one of them.

    When the broker is down its row stays in the outbox, and the sweeper tries again, on the shared queue.
    """
    # The sweeper counts its patience from this moment; to be heard sooner is to have been enqueued earlier.
    earlier = timedelta(seconds=ENQUEUED_PATIENCE_S - PREFERRED_PATIENCE_S if queue else 0)
    Generation.objects.filter(pk=generation_id).update(enqueued_at=Now() - earlier)
    if not _send(generation_id, queue=queue):
        Generation.objects.filter(pk=generation_id).update(enqueued_at=None)


def _send(generation_id: int, *, queue: str | None = None, passed_on: bool = False) -> bool:
    # A worker's own queue is a bare list: nothing to declare, nothing left behind when it is gone.
    where = {"queue": Queue(queue), "declare": []} if queue else {}  # type: ignore[no-untyped-call]
    try:
        write_reply.apply_async((generation_id, passed_on), **where)
    except OperationalError as error:
        log_event("generation.enqueue_failed", generation=generation_id, error=type(error).__name__)
        return False
    return True
