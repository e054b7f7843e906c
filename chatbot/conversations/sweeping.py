"""The backstop: find replies that nobody is writing and news that nobody heard. Safe to run anywhere, at any time, twice."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from chatbot.conversations import reply, tasks
from chatbot.conversations.models import Generation
from chatbot.telemetry import log_event

ANNOUNCE_PATIENCE_S = 2
BATCH = 200


def sweep() -> None:
    """Enqueue what waits unclaimed or lost its worker, end what has used up its attempts, announce what was not heard."""
    exhausted = _end_exhausted()
    _end_taken_over()
    forgotten = _forgotten()
    for generation_id in forgotten:
        tasks.enqueue(generation_id)
    unheard = _unheard()
    for generation_id in unheard:
        reply.announce_reply(generation_id)
    if forgotten or unheard or exhausted:
        log_event("sweep.requeued", generations=len(forgotten), announcements=len(unheard), exhausted=exhausted)


def _forgotten() -> list[int]:
    unclaimed = Q(status=Generation.Status.PENDING) | Q(status=Generation.Status.RUNNING, lease_until__lt=Now())
    not_handed_over = Q(enqueued_at__isnull=True) | Q(enqueued_at__lt=Now() - timedelta(seconds=tasks.ENQUEUED_PATIENCE_S))
    found = Generation.objects.filter(unclaimed, not_handed_over, taken_over=False)
    return list(found.order_by("pk").values_list("pk", flat=True)[:BATCH])


def _unheard() -> list[int]:
    found = Generation.objects.filter(announced=False, finished_at__lt=Now() - timedelta(seconds=ANNOUNCE_PATIENCE_S))
    return list(found.order_by("finished_at").values_list("pk", flat=True)[:BATCH])


def _end_exhausted() -> int:
    """Fail replies whose last allowed worker is gone; their customers must not wait for ever."""
    with transaction.atomic():
        dead = Generation.objects.select_for_update(skip_locked=True).filter(
            Q(status=Generation.Status.PENDING) | Q(status=Generation.Status.RUNNING, lease_until__lt=Now()),
            attempts__gte=settings.REPLY_MAX_ATTEMPTS,
            taken_over=False,
        )
        ended = list(dead[:BATCH])
        for generation in ended:
            reply.end_as_failed(generation, code="worker_lost")
    return len(ended)


def _end_taken_over() -> None:
    """End replies that a person has silenced and whose worker is gone. What they had shown is gone with it."""
    with transaction.atomic():
        gone = Generation.objects.select_for_update(skip_locked=True).filter(
            Q(status=Generation.Status.PENDING) | Q(status=Generation.Status.RUNNING, lease_until__lt=Now()), taken_over=True
        )
        for generation in gone[:BATCH]:
            reply.end_as_stopped(generation)
