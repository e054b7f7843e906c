"""The Celery doors of this room: ids in, one service call."""

from __future__ import annotations

from celery import shared_task
from django.db.models.functions import Now
from kombu.exceptions import OperationalError

from chatbot.conversations import reply
from chatbot.conversations.models import Generation
from chatbot.telemetry import log_event


@shared_task(name="conversations.reply", ignore_result=True)
def write_reply(generation_id: int) -> None:
    following = reply.write_reply(generation_id)
    if following is not None:
        enqueue(following)


def enqueue(generation_id: int) -> None:
    """Hand a generation to the workers. When the broker is down its row stays in the outbox, and the sweeper tries again."""
    row = Generation.objects.filter(pk=generation_id)
    row.update(enqueued_at=Now())
    try:
        write_reply.apply_async((generation_id,))
    except OperationalError as error:
        row.update(enqueued_at=None)
        log_event("generation.enqueue_failed", generation=generation_id, error=type(error).__name__)
