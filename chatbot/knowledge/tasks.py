"""The Celery door of this room."""

from __future__ import annotations

from celery import shared_task
from kombu.exceptions import OperationalError

from chatbot.engine.embedder import default_embedder
from chatbot.knowledge import indexing
from chatbot.telemetry import log_event


@shared_task(name="knowledge.refresh_index", ignore_result=True)
def refresh_index() -> None:
    indexing.refresh_index(embedder=default_embedder())


def enqueue_refresh() -> None:
    """Ask the general worker to bring the index up to date. When the broker is down, the regular refresh catches up."""
    try:
        refresh_index.apply_async(queue="general")
    except OperationalError as error:
        log_event("knowledge.enqueue_failed", error=type(error).__name__)
