"""Work off a run of many questions: the test questions, or what a change would do to them and to real conversations.

A run is a row; a generation worker claims it, writes one result a question and shows a sign of life. When the worker dies, the
run goes on elsewhere with the questions that have no result yet.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce, Now

from chatbot import runtime
from chatbot.answering.giving_way import let_customers_go_first
from chatbot.answering.prompting import system_text
from chatbot.documents.search import search_all
from chatbot.engine.requests import Engine
from chatbot.errors import NotFound
from chatbot.knowledge.access import answering_faqs
from chatbot.quality import changing
from chatbot.quality.items import Item, items_of, row_of, store
from chatbot.quality.models import QuestionResult, QuestionRun
from chatbot.quality.outcomes import outcome_of
from chatbot.quality.several import GIVE_WAY_S, in_order
from chatbot.quality.stopping import Stop, beating
from chatbot.quality.trying import try_patiently
from chatbot.telemetry import log_crash, log_event

RUN_SILENCE_S = 60
# A run beside customers' answers: enough to share the model's passes, few enough to leave them most of its places.
WORKERS = 2


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
    told = {"fingerprint": knowledge_fingerprint(), "model_version": engine.model_version, "prompt": prompt_fingerprint()}
    QuestionRun.objects.filter(pk=run.pk).update(**told)
    stop = Stop(run.pk)
    # One worker works in the caller's thread and transaction, where another thread's look would see nothing.
    with beating(stop) if workers > 1 else nullcontext():
        if run.kind == QuestionRun.Kind.WHAT_IF:
            changing.work(run, engine=engine, stop=stop, workers=workers)
        else:
            _answer_all(run, engine=engine, stop=stop, workers=workers)


def _answer_all(run: QuestionRun, *, engine: Engine, stop: Stop, workers: int) -> None:

    def answered(item: Item) -> QuestionResult | None:
        let_customers_go_first(engine, should_stop=stop.now, patience_s=GIVE_WAY_S)
        if stop.now():
            return None
        tried = try_patiently(item.asked, search=search_all, engine=engine, should_stop=stop.now)
        return None if stop.now() else row_of(run, item, outcome_of(tried))

    store(in_order(answered, list(items_of(run)), workers=workers), stop=stop)


def _end(run: QuestionRun, status: str, *, error: str = "") -> None:
    QuestionRun.objects.filter(pk=run.pk).update(status=status, error=error[:40], finished_at=Now(), beat_at=None)


def knowledge_fingerprint() -> str:
    """Of what may be said, words included: two runs with the same one asked the same knowledge."""
    digest = hashlib.sha256()
    for pk, revision in answering_faqs().order_by("pk").values_list("pk", "revision"):
        digest.update(f"{pk}#{revision};".encode())
    return digest.hexdigest()


def prompt_fingerprint() -> str:
    """Of what the model is told before any question."""
    company = runtime.company()
    names = {name: company.text(name, locale="en") for name in ("name", "bot_name")}
    told = system_text(company=names["name"], bot_name=names["bot_name"], instructions=company.instructions)
    return hashlib.sha256(told.encode()).hexdigest()
