"""The Celery door of this room."""

from __future__ import annotations

from celery import shared_task

from chatbot.alone import Duty, alone
from chatbot.knowledge import access, indexing, learned
from chatbot.knowledge.embedding import default_embedder
from chatbot.knowledge.models import KnowledgeIndex
from chatbot.tasks import send

# Several changes in a row are calibrated once; meanwhile the calibration of before serves.
CALIBRATE_AFTER_S = 5


@shared_task(name="knowledge.refresh_index", ignore_result=True)
def refresh_index() -> None:
    """Make what is published answerable with the vectors that serve; what takes longer is left to tasks of its own."""
    _refresh()


@shared_task(name="knowledge.calibrate_index", ignore_result=True)
def calibrate_index() -> None:
    """Fit the confidence to what is published now. One at a time in all workers: a large base takes half a minute."""
    embedder = indexing.serving_embedder(KnowledgeIndex.objects.first())
    with alone(Duty.CALIBRATING) as mine:
        if not mine:
            return  # Whoever is at it looks again afterwards.
        indexing.calibrate_index(embedder=embedder)
    if not indexing.is_calibrated(embedder=embedder):
        send(calibrate_index, queue="general", countdown=CALIBRATE_AFTER_S)


@shared_task(name="knowledge.change_embedder", ignore_result=True)
def change_embedder() -> None:
    """Embed everything with today's embedder, beside the vectors that serve, and switch when none is missing."""
    indexing.refresh_index(embedder=default_embedder())


def _refresh() -> None:
    embedder = indexing.serving_embedder(KnowledgeIndex.objects.first())
    indexing.refresh_index(embedder=embedder, calibrate=False)
    if not indexing.is_calibrated(embedder=embedder):
        send(calibrate_index, queue="general", countdown=CALIBRATE_AFTER_S)
    if embedder.name != default_embedder().name:
        send(change_embedder, queue="general")


@shared_task(name="knowledge.follow_validity", ignore_result=True)
def follow_validity() -> None:
    """Refresh the index when a FAQ has begun or ceased to be valid, or another version's phrasings count; else a few queries."""
    state = KnowledgeIndex.objects.first()
    if access.validity_turned(since=state.refreshed_at if state else None) or learned.turned():
        _refresh()


def enqueue_refresh() -> None:
    """Ask the general worker to bring the index up to date. When the broker is down, the regular refresh catches up."""
    send(refresh_index, queue="general")
