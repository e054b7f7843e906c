"""The Celery application, and what a generation worker does besides tasks: load the model, keep house, leave cleanly."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import Any

from celery import Celery
from celery.signals import celeryd_after_setup, worker_ready, worker_shutting_down
from kombu.entity import Queue
from redis.exceptions import RedisError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "support_portal.settings")

app = Celery("answerdesk")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

logger = logging.getLogger(__name__)


def _generates(worker: Any) -> bool:
    return "generation" in worker.app.amqp.queues.consume_from


@celeryd_after_setup.connect
def listen_to_own_queue(sender: str, instance: Any, **kwargs: Any) -> None:
    """Besides the shared queue, a generation worker hears what is meant for it: turns whose conversation it has in its cache."""
    if _generates(instance):
        from chatbot import runtime  # Django is set up only now.
        from chatbot.conversations import affinity

        # A bare list in Valkey, so that nothing is declared that would outlive the worker.
        own = Queue(affinity.own_queue(runtime.worker_name()), no_declare=True)  # type: ignore[no-untyped-call]
        instance.app.amqp.queues.select_add(own)


@celeryd_after_setup.connect
def load_model(sender: str, instance: Any, **kwargs: Any) -> None:
    """Load weights, embedder and index before the first task. A model that does not load ends the worker with one sentence."""
    if not _generates(instance):
        if "general" in instance.app.amqp.queues.consume_from:
            warm_embedder()
        return
    from django.conf import settings  # Django is set up only now.

    from chatbot import runtime
    from chatbot.documents import search as documents
    from chatbot.engine.requests import EngineError
    from chatbot.knowledge import retrieval
    from chatbot.releases import following
    from chatbot.telemetry import log_event

    started = time.monotonic()
    try:
        engine = runtime.engine()
        following.start()
        retrieval.search("warm up", locale=settings.LANGUAGE_CODE)
        documents.warm_up()
    except EngineError as error:
        logger.critical("The model does not load (%s): %s", error.code, error)
        raise SystemExit(78) from error
    log_event("engine.started", model=engine.model_version, load_ms=(time.monotonic() - started) * 1000)


def warm_embedder() -> None:
    """Load the embedder at the general worker's start, so that the first publishing does not wait for it."""
    from chatbot.knowledge.embedding import default_embedder

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
