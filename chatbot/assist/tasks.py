"""The Celery doors of this room: a job's token in, one service call. What fails is told to the person who waits."""

from __future__ import annotations

import redis
from celery import shared_task
from kombu.exceptions import OperationalError

from chatbot import runtime
from chatbot.assist import faq_checks, jobs, phrasings
from chatbot.assist.jobs import Job
from chatbot.engine.embedder import Embedder
from chatbot.errors import ChatbotError, Unavailable
from chatbot.knowledge.indexing import serving_embedder
from chatbot.knowledge.models import KnowledgeIndex
from chatbot.telemetry import log_crash

NO_MODEL = "No model is running now, so nothing can be written. Everything else works."
_FAILED = "This did not work. Saving is not affected."


@shared_task(name="assist.check_faq", ignore_result=True)
def check_faq(token: str) -> None:
    asked = jobs.asked_of(token)
    if asked is None:
        return
    try:
        draft = faq_checks.Draft(**{**asked, "phrasings": tuple(asked["phrasings"])})
        found = faq_checks.check(draft, embedder=_embedder())
        jobs.report(token, Job("done", [near.to_json() for near in found]))
    except Exception as error:
        log_crash("checking a FAQ failed", error)
        jobs.report(token, Job("failed", message=_FAILED))


@shared_task(name="assist.suggest_phrasings", ignore_result=True)
def suggest_phrasings(token: str) -> None:
    asked = jobs.asked_of(token)
    if asked is None:
        return
    try:
        found = phrasings.suggest(
            phrasings.Asked(**{**asked, "phrasings": tuple(asked["phrasings"])}),
            engine=runtime.engine(),
            embedder=_embedder(),
            cancelled=lambda: jobs.is_cancelled(token),
            progress=lambda step, lines: jobs.report(token, Job("working", {"step": step, "lines": lines})),
        )
        jobs.report(token, Job("done", [suggestion.to_json() for suggestion in found]))
    except ChatbotError as error:
        jobs.report(token, Job("failed", message=error.message))
    except Exception as error:
        log_crash("suggesting phrasings failed", error)
        jobs.report(token, Job("failed", message=_FAILED))


def begin_check(draft: faq_checks.Draft, *, user_id: int) -> str:
    """Let a general worker look for near-duplicates and contradictions; returns the job's token. Raises Unavailable."""
    token = jobs.begin(vars(draft), user_id=user_id)
    _send(check_faq, token, queue="general")
    return token


def begin_suggestions(asked: phrasings.Asked, *, user_id: int) -> str:
    """Let the model write phrasings; returns the job's token. Raises Unavailable, also when no model runs."""
    try:
        if not runtime.workers():
            raise Unavailable(NO_MODEL)
    except redis.RedisError as error:
        raise Unavailable(_FAILED) from error
    token = jobs.begin(vars(asked), user_id=user_id)
    _send(suggest_phrasings, token, queue="generation")
    return token


def _embedder() -> Embedder:
    """The one whose vectors the search serves now."""
    return serving_embedder(KnowledgeIndex.objects.first())


def _send(task: object, token: str, *, queue: str) -> None:
    try:
        task.apply_async((token,), queue=queue, expires=jobs.LIVES_S)  # type: ignore[attr-defined]
    except OperationalError as error:
        raise Unavailable(_FAILED) from error
