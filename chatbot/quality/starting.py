"""Start what runs in the background: a trial on the bench, a run over many questions, the gathering of gaps.

Callers have checked the right. Ids cross to the workers; everything else waits in a row or in Valkey.
"""

from __future__ import annotations

import functools
import uuid

from django.db import transaction
from django.db.models.functions import Now

from chatbot import runtime
from chatbot.errors import InvalidInput, Unavailable
from chatbot.knowledge.access import access_faq_as_staff
from chatbot.quality import changing, tasks, trials
from chatbot.quality.asked import Asked
from chatbot.quality.items import customer_messages
from chatbot.quality.models import QuestionRun, TestQuestion
from chatbot.quality.suite import Author
from chatbot.quality.thresholds import Thresholds

KEPT_RUNS = 50
MAX_MESSAGES = 1000
# Questions written live and with the change: two answers each, some ten seconds each on two cores.
MAX_ANSWERS = 300
ANSWERS_AT_ONCE = 30
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
    *,
    author: Author,
    faq_id: int | None = None,
    thresholds: Thresholds | None = None,
    version: str = "",
    instructions: str | None = None,
    messages: int = 0,
    answers: int = ANSWERS_AT_ONCE,
    enqueue: bool = True,
) -> QuestionRun:
    """Ask the test questions and the newest customer messages live and with the change. Raises InvalidInput, NotFound.

    version: of the model; instructions: to it; where these change, at most `answers` questions are written both ways.
    """
    if instructions is not None and instructions.strip() == runtime.company().instructions.strip():
        instructions = None
    if faq_id is None and thresholds is None and not version and instructions is None:
        raise InvalidInput(
            "Choose a FAQ, other limits, another version or other instructions: nothing would change.", code="no_change"
        )
    if version and version not in (found.name for found in changing.candidates()):
        raise InvalidInput(f"{version[:120]} cannot answer here.", code="unknown_version", field="version")
    faq = access_faq_as_staff(faq_id) if faq_id is not None else None
    messages = max(0, min(messages, MAX_MESSAGES))
    run = QuestionRun(
        kind=QuestionRun.Kind.WHAT_IF,
        faq=faq,
        faq_revision=faq.latest_revision if faq else 0,
        thresholds=thresholds.as_json() if thresholds else {},
        version=version,
        instructions=instructions,
        messages=messages,
        answers_most=max(1, min(answers, MAX_ANSWERS)),
        total=TestQuestion.objects.count() + min(messages, customer_messages().count()),
    )
    if not run.total:
        raise InvalidInput("There are no test questions and no conversations to try it on.", code="no_questions")
    return _start(run, author=author, enqueue=enqueue)


def go_on(run_id: uuid.UUID, *, full_answers: bool = False) -> None:
    """Let an ended WHAT_IF go on: with what was left when it was stopped or failed, else with more answers.

    full_answers: also write the answers of what differs by decision.
    """
    with transaction.atomic():
        run = QuestionRun.objects.select_for_update().filter(pk=run_id, kind=QuestionRun.Kind.WHAT_IF).first()
        if run is None or run.is_active:
            return
        run.full_answers = run.full_answers or full_answers
        if run.status == QuestionRun.Status.DONE:
            run.answers_most = changing.written(run).count() + ANSWERS_AT_ONCE
        run.status, run.stop_requested, run.error = QuestionRun.Status.WAITING, False, ""
        run.beat_at = run.finished_at = None
        run.save()
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
