"""Start what runs in the background: a trial on the bench, a run over many questions, the gathering of gaps.

Callers have checked the right. Ids cross to the workers; everything else waits in a row or in Valkey.
"""

from __future__ import annotations

import functools
import uuid

from django.db import transaction
from django.db.models.functions import Now

from chatbot.errors import InvalidInput, Unavailable
from chatbot.knowledge.access import access_faq_as_staff
from chatbot.quality import tasks, trials
from chatbot.quality.asked import Asked
from chatbot.quality.models import QuestionRun, TestQuestion
from chatbot.quality.running import customer_messages
from chatbot.quality.suite import Author
from chatbot.quality.thresholds import Thresholds

KEPT_RUNS = 50
MAX_MESSAGES = 1000
_NO_BROKER = "No worker can be reached now. Please try again in a minute."


def start_trial(asked: Asked, *, user_id: int, draft: int | None = None) -> str:
    """Hand a question to a generation worker; returns the token that reads its result. Raises Unavailable, NotFound."""
    if draft is not None:
        access_faq_as_staff(draft)
    token = trials.begin_trial(asked, user_id=user_id, draft=draft)
    if not tasks.enqueue_trial(token):
        raise Unavailable(_NO_BROKER)
    return token


def gather_now() -> None:
    """Raises Unavailable."""
    if not tasks.enqueue_gathering():
        raise Unavailable(_NO_BROKER)


def start_suite(*, author: Author, enqueue: bool = True) -> QuestionRun:
    """Ask all test questions. Raises InvalidInput when there is none."""
    if not TestQuestion.objects.exists():
        raise InvalidInput("There are no test questions yet.", code="no_questions")
    return _start(QuestionRun(kind=QuestionRun.Kind.SUITE, total=TestQuestion.objects.count()), author=author, enqueue=enqueue)


def start_what_if(
    *, author: Author, faq_id: int | None = None, thresholds: Thresholds | None = None, messages: int = 0, enqueue: bool = True
) -> QuestionRun:
    """Decide the test questions and the newest customer messages live and with the change. Raises InvalidInput, NotFound."""
    if faq_id is None and thresholds is None:
        raise InvalidInput("Choose a FAQ or other limits: nothing would change.", code="no_change")
    faq = access_faq_as_staff(faq_id) if faq_id is not None else None
    messages = max(0, min(messages, MAX_MESSAGES))
    run = QuestionRun(
        kind=QuestionRun.Kind.WHAT_IF,
        faq=faq,
        faq_revision=faq.latest_revision if faq else 0,
        thresholds=thresholds.as_json() if thresholds else {},
        messages=messages,
        total=TestQuestion.objects.count() + min(messages, customer_messages().count()),
    )
    if not run.total:
        raise InvalidInput("There are no test questions and no conversations to try it on.", code="no_questions")
    return _start(run, author=author, enqueue=enqueue)


def write_full_answers(run_id: uuid.UUID) -> None:
    """Let a finished WHAT_IF go on: write the answers of what differs, live and with the change."""
    changed = QuestionRun.objects.filter(pk=run_id, kind=QuestionRun.Kind.WHAT_IF, status=QuestionRun.Status.DONE).update(
        full_answers=True, status=QuestionRun.Status.WAITING, beat_at=None, finished_at=None
    )
    if changed:
        transaction.on_commit(functools.partial(tasks.enqueue_run, run_id))


def stop_run(run_id: uuid.UUID) -> None:
    """The worker that has it stops after the questions in hand; one that nobody has ends at once."""
    QuestionRun.objects.filter(pk=run_id).update(stop_requested=True)
    QuestionRun.objects.filter(pk=run_id, status=QuestionRun.Status.WAITING).update(
        status=QuestionRun.Status.STOPPED, finished_at=Now()
    )


def _start(run: QuestionRun, *, author: Author, enqueue: bool) -> QuestionRun:
    run.created_by_id = author.pk if author else None
    with transaction.atomic():
        run.save()
        old = QuestionRun.objects.exclude(status__in=["waiting", "running"]).values_list("pk", flat=True)[KEPT_RUNS:]
        QuestionRun.objects.filter(pk__in=list(old)).delete()
        if enqueue:
            transaction.on_commit(functools.partial(tasks.enqueue_run, run.pk))
    return run
