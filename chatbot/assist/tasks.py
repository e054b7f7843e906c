"""The Celery doors of this room: a job's token in, one service call. What fails is told to the person who waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import redis
from celery import shared_task

from chatbot import runtime
from chatbot.answering import giving_way
from chatbot.assist import classifiers, drafting, faq_checks, jobs, kept_drafts, noting, phrasings, reading, rewriting
from chatbot.assist.jobs import Job
from chatbot.documents.search import search_all
from chatbot.engine.embedder import Embedder
from chatbot.errors import ChatbotError, Unavailable
from chatbot.knowledge.indexing import serving_embedder
from chatbot.knowledge.models import KnowledgeIndex
from chatbot.learning import worth_a_look
from chatbot.tasks import send
from chatbot.telemetry import log_crash

NO_MODEL = "No model is running now, so nothing can be written. Everything else works."
_FAILED = "This did not work. Saving is not affected."
CATCH_UP_LOCK_S = 120
NOTES_LOCK_S = 600
NOTES_A_TURN = 10


@shared_task(name="assist.check_faq", ignore_result=True)
def check_faq(token: str) -> None:
    def work(asked: dict[str, Any], **told: Any) -> Any:
        draft = faq_checks.Draft(**{**asked, "phrasings": tuple(asked["phrasings"])})
        return [near.to_json() for near in faq_checks.check(draft, embedder=_embedder())]

    _help(token, work, what="checking a FAQ failed")


@shared_task(name="assist.suggest_phrasings", ignore_result=True)
def suggest_phrasings(token: str) -> None:
    def work(asked: dict[str, Any], *, cancelled: Callable[[], bool], **told: Any) -> Any:
        found = phrasings.suggest(
            phrasings.Asked(**{**asked, "phrasings": tuple(asked["phrasings"])}),
            engine=runtime.engine(),
            embedder=_embedder(),
            cancelled=cancelled,
            progress=lambda step, lines: jobs.report(token, Job("working", {"step": step, "lines": lines})),
        )
        return [suggestion.to_json() for suggestion in found]

    _help(token, work, what="suggesting phrasings failed")


@shared_task(name="assist.draft_replies", ignore_result=True)
def draft_replies(token: str) -> None:
    def work(asked: dict[str, Any], **told: Any) -> Any:
        found = drafting.draft_replies(UUID(asked["conversation"]), search=search_all, engine=runtime.engine(), **told)
        return [draft.to_json() for draft in found]

    _help(token, work, what="drafting a reply failed")


@shared_task(name="assist.rewrite", ignore_result=True)
def rewrite(token: str) -> None:
    def work(asked: dict[str, Any], **told: Any) -> Any:
        engine = runtime.engine()
        if "to" in asked:
            return rewriting.translate(asked["text"], to=asked["to"], engine=engine, **told).to_json()
        return rewriting.rewrite(asked["text"], style=asked["style"], engine=engine, **told).to_json()

    _help(token, work, what="rewriting failed")


@shared_task(name="assist.suggest_faqs", ignore_result=True)
def suggest_faqs(token: str) -> None:
    def work(asked: dict[str, Any], **told: Any) -> Any:
        return [one.to_json() for one in drafting.suggest_faqs(UUID(asked["conversation"]), search=search_all)]

    _help(token, work, what="suggesting FAQs failed")


@shared_task(name="assist.catch_up", ignore_result=True)
def catch_up() -> None:
    """Every few seconds: read new messages, take notes of handoffs and closes, settle drafts. One worker at a time."""
    if not runtime.valkey().set("assist:catching_up", 1, nx=True, ex=CATCH_UP_LOCK_S):
        return
    try:
        reading.catch_up(embedder=_embedder())
        noting.take_notes()
        kept_drafts.settle()
        if noting.notes_to_write().exists() and runtime.workers():
            send(write_notes, queue="generation", expires=60)
    finally:
        runtime.valkey().delete("assist:catching_up")


@shared_task(name="assist.write_notes", ignore_result=True)
def write_notes() -> None:
    """Let the model write the notes that wait, one after the other, as long as no customer needs it. One worker at a time."""
    if not runtime.valkey().set("assist:writing_notes", 1, nx=True, ex=NOTES_LOCK_S):
        return
    try:
        for note in noting.notes_to_write()[:NOTES_A_TURN]:
            try:
                noting.write_note(note.pk, engine=runtime.engine(), cancelled=lambda: False)
            except (giving_way.Busy, giving_way.Cancelled):
                return
            except Exception as error:
                noting.give_up(note.pk)
                log_crash("writing a note failed", error)
    finally:
        runtime.valkey().delete("assist:writing_notes")


@shared_task(name="assist.train_topics", ignore_result=True)
def train_topics() -> None:
    """Once a day: the company's categories may have changed."""
    classifiers.train_topics(_embedder())


@shared_task(name="assist.gather_reviews", ignore_result=True)
def gather_reviews() -> None:
    worth_a_look.gather()


def begin_draft(conversation_id: UUID, *, user_id: int) -> str:
    """Let the model write alternatives of a reply; returns the job's token. Raises Unavailable, also when no model runs."""
    return _begin(draft_replies, {"conversation": str(conversation_id)}, user_id=user_id)


def begin_rewrite(text: str, *, style: str, user_id: int) -> str:
    return _begin(rewrite, {"text": text, "style": style}, user_id=user_id)


def begin_translation(text: str, *, to: str, user_id: int) -> str:
    return _begin(rewrite, {"text": text, "to": to}, user_id=user_id)


def begin_faq_suggestions(conversation_id: UUID, *, user_id: int) -> str:
    """Let a general worker search; needs no model."""
    token = jobs.begin({"conversation": str(conversation_id)}, user_id=user_id)
    _send(suggest_faqs, token, queue="general")
    return token


def begin_check(draft: faq_checks.Draft, *, user_id: int) -> str:
    """Let a general worker look for near-duplicates and contradictions; returns the job's token. Raises Unavailable."""
    token = jobs.begin(vars(draft), user_id=user_id)
    _send(check_faq, token, queue="general")
    return token


def begin_suggestions(asked: phrasings.Asked, *, user_id: int) -> str:
    """Let the model write phrasings; returns the job's token. Raises Unavailable, also when no model runs."""
    return _begin(suggest_phrasings, vars(asked), user_id=user_id)


def _begin(task: object, asked: dict[str, Any], *, user_id: int) -> str:
    try:
        if not runtime.workers():
            raise Unavailable(NO_MODEL)
    except redis.RedisError as error:
        raise Unavailable(_FAILED) from error
    token = jobs.begin(asked, user_id=user_id)
    _send(task, token, queue="generation")
    return token


def _help(token: str, work: Callable[..., Any], *, what: str) -> None:
    """Do what a job asks, and tell whoever waits how it goes."""
    asked = jobs.asked_of(token)
    if asked is None:
        return

    def progress(step: str, text: str) -> None:
        jobs.report(token, Job("working", {"step": step, "text": text}))

    try:
        found = work(asked, cancelled=lambda: jobs.is_cancelled(token), progress=progress)
        jobs.report(token, Job("done", found))
    except giving_way.Cancelled:
        jobs.report(token, Job("failed", message=_FAILED))
    except ChatbotError as error:
        jobs.report(token, Job("failed", message=error.message))
    except Exception as error:
        log_crash(what, error)
        jobs.report(token, Job("failed", message=_FAILED))


def _embedder() -> Embedder:
    """The one whose vectors the search serves now."""
    return serving_embedder(KnowledgeIndex.objects.first())


def _send(task: object, token: str, *, queue: str) -> None:
    if not send(task, token, queue=queue, expires=jobs.LIVES_S):
        raise Unavailable(_FAILED)
