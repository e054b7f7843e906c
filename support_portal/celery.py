"""The Celery application, and what a generation worker does besides tasks: load the model, keep house, leave cleanly."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import Any

from celery import Celery
from celery.signals import celeryd_after_setup, worker_ready, worker_shutting_down
from redis.exceptions import RedisError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "support_portal.settings")

app = Celery("answerdesk")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

logger = logging.getLogger(__name__)


def _generates(worker: Any) -> bool:
    return "generation" in worker.app.amqp.queues.consume_from


@celeryd_after_setup.connect
def load_model(sender: str, instance: Any, **kwargs: Any) -> None:
    """Load weights, embedder and index before the first task. A model that does not load ends the worker with one sentence."""
    if not _generates(instance):
        warm_embedder()
        return
    from django.conf import settings  # Django is set up only now.

    from chatbot import runtime
    from chatbot.engine.requests import EngineError
    from chatbot.knowledge import retrieval
    from chatbot.releases.versions import record_loaded
    from chatbot.telemetry import log_event

    started = time.monotonic()
    try:
        engine = runtime.engine()
        if settings.ENGINE == "torch":
            record_loaded(engine.model_version, folder=runtime.model_folder())
        retrieval.search("warm up", locale=settings.LANGUAGE_CODE)
    except EngineError as error:
        logger.critical("The model does not load (%s): %s", error.code, error)
        raise SystemExit(78) from error
    log_event("engine.started", model=engine.model_version, load_ms=(time.monotonic() - started) * 1000)


def warm_embedder() -> None:
    """Load the embedder at the general worker's start, so that the first publishing does not wait for it."""
    from chatbot.engine.embedder import default_embedder

    default_embedder().encode(["warm up"])


@worker_ready.connect
def keep_house(sender: Any, **kwargs: Any) -> None:
    from chatbot import runtime
    from chatbot.conversations import keeper

    if "generation" in sender.app.amqp.queues.consume_from:
        runtime.announce_worker()
        keeper.start()


@worker_shutting_down.connect
def give_work_back(**kwargs: Any) -> None:
    """Replies in work return to the outbox at once, so that another worker, or the next start, goes on with them."""
    from chatbot import runtime

    runtime.stopping.set()
    with contextlib.suppress(RedisError):
        runtime.withdraw_worker()
