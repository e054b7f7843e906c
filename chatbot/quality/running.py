"""Work off a run of many questions: the test questions, or what a change would do to them and to real conversations.

A run is a row; a generation worker claims it, writes one result a question and shows a sign of life. When the worker dies, the
run goes on elsewhere with the questions that have no result yet.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce, Now

from chatbot import runtime
from chatbot.answering.answers import Search
from chatbot.conversations import transcripts
from chatbot.conversations.models import Message
from chatbot.documents.search import search_all
from chatbot.engine.requests import Engine
from chatbot.errors import NotFound
from chatbot.knowledge.access import answering_faqs
from chatbot.quality import scratch
from chatbot.quality.asked import Asked
from chatbot.quality.models import QuestionResult, QuestionRun, TestQuestion
from chatbot.quality.outcomes import Outcome, change_between, outcome_of
from chatbot.quality.several import in_order, let_customers_go_first
from chatbot.quality.thresholds import Thresholds, with_thresholds
from chatbot.quality.trying import PATIENT_DEADLINE_S, plan, try_question
from chatbot.telemetry import log_crash, log_event

RUN_SILENCE_S = 60
# A run beside customers' answers: enough to share the model's passes, few enough to leave them most of its places.
WORKERS = 2
_MESSAGE_NUMBERS = 1_000_000_000


@dataclass(frozen=True)
class _Item:
    number: int
    asked: Asked
    question_id: int | None = None
    message_id: uuid.UUID | None = None


def access_run(run_id: uuid.UUID) -> QuestionRun:
    """The caller has checked the right. Raises NotFound."""
    found = QuestionRun.objects.select_related("created_by", "faq").filter(pk=run_id).first()
    if found is None:
        raise NotFound("This run does not exist.", code="run_not_found")
    return found


def orphans() -> list[uuid.UUID]:
    """Active runs without a sign of life, which another worker should take."""
    return list(_unclaimed().values_list("pk", flat=True))


def execute(run_id: uuid.UUID, *, engine: Callable[[], Engine] = runtime.engine, workers: int = WORKERS) -> None:
    """Claim a run and bring it to its end. Somebody else's run is left alone."""
    claimed = _unclaimed().filter(pk=run_id)
    if not claimed.update(status=QuestionRun.Status.RUNNING, beat_at=Now(), started_at=Coalesce("started_at", Now())):
        return
    run, begun = QuestionRun.objects.get(pk=run_id), time.monotonic()
    try:
        running = engine()
        _work(run, engine=running, workers=workers)
    except Exception as error:
        log_crash(f"run {run_id}", error)
        _end(run, QuestionRun.Status.FAILED, error=getattr(error, "code", "internal"))
        return
    if runtime.stopping.is_set():  # the next start takes it
        QuestionRun.objects.filter(pk=run_id).update(beat_at=None, status=QuestionRun.Status.WAITING)
        return
    stopped = QuestionRun.objects.filter(pk=run_id, stop_requested=True).exists()
    _end(run, QuestionRun.Status.STOPPED if stopped else QuestionRun.Status.DONE)
    log_event("questions.ran", run=run_id, kind=run.kind, questions=run.total, total_ms=(time.monotonic() - begun) * 1000)


def _unclaimed() -> QuerySet[QuestionRun]:
    silent = Q(beat_at__isnull=True) | Q(beat_at__lt=Now() - timedelta(seconds=RUN_SILENCE_S))
    return QuestionRun.objects.filter(silent, status__in=[QuestionRun.Status.WAITING, QuestionRun.Status.RUNNING])


def _work(run: QuestionRun, *, engine: Engine, workers: int) -> None:
    QuestionRun.objects.filter(pk=run.pk).update(fingerprint=knowledge_fingerprint(), model_version=engine.model_version)
    stop = _Stop(run.pk)
    items = list(_items(run))
    if run.kind == QuestionRun.Kind.SUITE:

        def answered(item: _Item) -> QuestionResult | None:
            let_customers_go_first(engine, should_stop=stop.now)
            if stop.now():
                return None
            tried = try_question(item.asked, search=search_all, engine=engine, deadline_s=PATIENT_DEADLINE_S)
            return _result(run, item, outcome_of(tried))

        _store(run, in_order(answered, items, workers=workers), stop=stop)
        return
    changed = changed_search(run)
    _store(run, (_planned(run, item, changed) for item in items), stop=stop)
    if run.full_answers:
        _write_answers(run, changed, engine=engine, stop=stop, workers=workers)


class _Stop:
    """Whether the run is to stop, as the thread that stores results last heard it."""

    def __init__(self, run_id: uuid.UUID) -> None:
        self._run_id = run_id
        self.requested = False

    def look(self) -> None:
        """Show a sign of life and hear whether to stop; only the thread that stores results calls it."""
        run = QuestionRun.objects.filter(pk=self._run_id)
        run.update(beat_at=Now())
        self.requested = not run.filter(stop_requested=False).exists()

    def now(self) -> bool:
        return self.requested or runtime.stopping.is_set()


def _store(run: QuestionRun, results: Iterator[QuestionResult | None], *, stop: _Stop) -> None:
    for result in results:
        if result is not None:
            QuestionResult.objects.bulk_create([result], ignore_conflicts=True)
        stop.look()
        if stop.now():
            return


def _items(run: QuestionRun) -> Iterator[_Item]:
    """What has no result yet."""
    done: set[tuple[int | None, uuid.UUID | None]] = set(run.results.values_list("question_id", "message_id"))
    for question in TestQuestion.objects.filter(created_at__lte=run.created_at).order_by("pk"):
        if (question.pk, None) not in done:
            yield _Item(question.pk, question.asked(), question_id=question.pk)
    newest = customer_messages().filter(created_at__lte=run.created_at)[: run.messages]
    for place, message in enumerate(newest):
        if (None, message.pk) not in done:
            asked = Asked(
                text=message.text, locale=message.conversation.locale, history=transcripts.turns_before(message), judged=False
            )
            yield _Item(_MESSAGE_NUMBERS + place, asked, message_id=message.pk)


def customer_messages() -> QuerySet[Message]:
    said = Message.objects.filter(role=Message.Role.CUSTOMER).exclude(text="").select_related("conversation")
    return said.order_by("-created_at", "-pk")


def changed_search(run: QuestionRun) -> Search:
    """The search as it would be after the change; the live index is read, never written."""
    search: Search = search_all
    if run.faq is not None:
        search = partial(search_all, search_faqs=scratch.with_draft(run.faq).search)
    return with_thresholds(search, Thresholds.from_json(run.thresholds)) if run.thresholds else search


def _planned(run: QuestionRun, item: _Item, changed: Search) -> QuestionResult:
    before = outcome_of(plan(item.asked, search=search_all), planned=True)
    after = outcome_of(plan(item.asked, search=changed), planned=True)
    return _result(run, item, after, before=before)


def _write_answers(run: QuestionRun, changed: Search, *, engine: Engine, stop: _Stop, workers: int) -> None:
    """Where the outcome differs, write both answers; a composed one may be judged anew by what it cites."""
    waiting = [row for row in differing(run) if row.before is not None and "total_s" not in (row.before.get("full") or {})]

    def both(row: QuestionResult) -> QuestionResult | None:
        asked = asked_in(row)
        outcomes = []
        for search in (search_all, changed):
            let_customers_go_first(engine, should_stop=stop.now)
            if stop.now() or asked is None:
                return None
            outcomes.append(outcome_of(try_question(asked, search=search, engine=engine, deadline_s=PATIENT_DEADLINE_S)))
        row.before = outcomes[0].as_json() | {"full": {"total_s": outcomes[0].total_s}}
        _put(row, outcomes[1])
        row.change = change_between(outcomes[0], outcomes[1])
        return row

    for row in in_order(both, waiting, workers=workers):
        if row is not None:
            row.save()
        stop.look()
        if stop.now():
            return


def differing(run: QuestionRun) -> QuerySet[QuestionResult]:
    rows = run.results.exclude(change__in=["", QuestionResult.Change.SAME])
    return rows.select_related("question", "message__conversation")


def asked_in(row: QuestionResult) -> Asked | None:
    """The question behind a result; None when it was removed since."""
    if row.question is not None:
        return row.question.asked()
    if row.message is None:
        return None
    message = row.message
    return Asked(text=message.text, locale=message.conversation.locale, history=transcripts.turns_before(message), judged=False)


def _result(run: QuestionRun, item: _Item, outcome: Outcome, *, before: Outcome | None = None) -> QuestionResult:
    row = QuestionResult(
        run=run,
        number=item.number,
        question_id=item.question_id,
        message_id=item.message_id,
        expected=item.asked.expected or "",
        before=before.as_json() if before else None,
        change=change_between(before, outcome) if before else "",
    )
    _put(row, outcome)
    return row


def _put(row: QuestionResult, outcome: Outcome) -> None:
    row.decision, row.verdict, row.keys = outcome.decision, outcome.verdict, list(outcome.keys)
    row.confidence, row.answer = outcome.confidence, outcome.answer
    row.ttft_s, row.total_s = outcome.ttft_s, outcome.total_s


def _end(run: QuestionRun, status: str, *, error: str = "") -> None:
    QuestionRun.objects.filter(pk=run.pk).update(status=status, error=error[:40], finished_at=Now(), beat_at=None)


def knowledge_fingerprint() -> str:
    """Of what may be said, words included: two runs with the same one asked the same knowledge."""
    digest = hashlib.sha256()
    for pk, revision in answering_faqs().order_by("pk").values_list("pk", "revision"):
        digest.update(f"{pk}#{revision};".encode())
    return digest.hexdigest()
