"""Runs over the test questions: results, going on after a death, stopping, comparing, what a change would do."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from chatbot import runtime
from chatbot.conversations.models import Customer, Message
from chatbot.engine.fake import ScriptedEngine
from chatbot.errors import InvalidInput
from chatbot.knowledge import authoring, retrieval
from chatbot.knowledge.content import FaqText
from chatbot.knowledge.embedding import default_embedder
from chatbot.knowledge.indexing import refresh_index
from chatbot.knowledge.models import Faq, KnowledgeIndex, Phrasing
from chatbot.quality import comparing, running, starting, suite
from chatbot.quality.asked import Asked
from chatbot.quality.models import QuestionResult, QuestionRun, TestQuestion
from chatbot.quality.thresholds import Thresholds, live_thresholds
from tests.conversations.factories import post

pytestmark = pytest.mark.django_db


def _run(**options: Any) -> QuestionRun:
    run = starting.start_suite(author=None, enqueue=False, **options)
    running.execute(run.pk, workers=1)
    run.refresh_from_db()
    return run


def _what_if(**options: Any) -> QuestionRun:
    run = starting.start_what_if(author=None, enqueue=False, **options)
    running.execute(run.pk, workers=1)
    run.refresh_from_db()
    return run


def test_a_run_judges_every_question(questions: None, engine: ScriptedEngine) -> None:
    run = _run()
    assert (run.status, run.total, run.model_version) == ("done", 4, engine.model_version)
    assert run.fingerprint == running.knowledge_fingerprint() and run.finished_at
    found = {row.question.text: row for row in run.results.select_related("question") if row.question}
    assert found["How do I return an item?"].verdict == "right"
    assert found["怎么退货？"].keys == ["returns"] and "30 天" in found["怎么退货？"].answer
    assert found["who won the chess world cup in 1972"].verdict in ("refused_right", "asked_back")
    assert comparing.verdicts(run)["right"] >= 3


def test_a_run_without_questions_does_not_start(shop: None) -> None:
    with pytest.raises(InvalidInput, match="no test questions"):
        starting.start_suite(author=None)


def test_a_dead_workers_run_goes_on_with_the_rest(questions: None, engine: ScriptedEngine) -> None:
    run = starting.start_suite(author=None, enqueue=False)
    first = TestQuestion.objects.order_by("pk")[0]
    QuestionResult.objects.create(run=run, number=first.pk, question=first, decision="handoff", verdict="refused")
    QuestionRun.objects.filter(pk=run.pk).update(status="running", beat_at=Now())
    assert running.orphans() == []
    running.execute(run.pk, workers=1)
    assert run.results.count() == 1, "somebody else has it"
    QuestionRun.objects.update(beat_at=Now() - running.timedelta(seconds=running.RUN_SILENCE_S + 1))
    assert running.orphans() == [run.pk]
    running.execute(run.pk, workers=1)
    run.refresh_from_db()
    assert (run.status, run.results.count()) == ("done", 4)
    assert run.results.get(question=first).verdict == "refused", "what was there is not asked again"


def test_a_stopped_run_stops_and_an_unclaimed_one_ends(questions: None, engine: ScriptedEngine) -> None:
    run = starting.start_suite(author=None, enqueue=False)
    starting.stop_run(run.pk)
    run.refresh_from_db()
    assert run.status == "stopped" and run.finished_at
    other = starting.start_suite(author=None, enqueue=False)
    QuestionRun.objects.filter(pk=other.pk).update(stop_requested=True)
    running.execute(other.pk, workers=1)
    other.refresh_from_db()
    assert other.status == "stopped" and other.results.count() <= 1


def test_a_worker_that_is_told_to_leave_gives_the_run_back(
    questions: None, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = starting.start_suite(author=None, enqueue=False)
    monkeypatch.setattr(runtime.stopping, "is_set", lambda: True)
    running.execute(run.pk, workers=1)
    run.refresh_from_db()
    assert run.status == "waiting" and running.orphans() == [run.pk]


def test_an_engine_that_does_not_load_fails_the_run(questions: None) -> None:
    run = starting.start_suite(author=None, enqueue=False)

    def broken() -> ScriptedEngine:
        raise RuntimeError("no weights")

    running.execute(run.pk, engine=broken, workers=1)
    run.refresh_from_db()
    assert (run.status, run.error) == ("failed", "internal")


def test_two_runs_are_compared(questions: None, engine: ScriptedEngine) -> None:
    first = _run()
    hours = Faq.objects.get(key="hours")
    authoring.archive_faq(hours.pk, author=None)
    refresh_index(embedder=default_embedder())
    second = _run()
    differences = comparing.compare(second, first)
    assert [(one.kind, one.text) for one in differences][0] == ("broken", "When are the stores open?")
    assert comparing.count(differences)["broken"] == 1
    assert first.fingerprint != second.fingerprint
    assert comparing.last_finished() == second and comparing.last_finished(before=second) == first


def test_what_if_applies_a_draft_without_touching_what_is_served(questions: None, engine: ScriptedEngine) -> None:
    suite.add_question(Asked("Do you sell gift vouchers?", expected=None), author=None)
    text = FaqText(
        "Do you sell gift vouchers?",
        "Yes, from S$20.",
        phrasings=["gift voucher", "can I buy a voucher as a present", "gift card"],
    )
    draft = authoring.create_faq("vouchers", locale="en", text=text, author=None)
    TestQuestion.objects.filter(text__contains="voucher").update(expected="vouchers")
    before = (Phrasing.objects.count(), KnowledgeIndex.objects.get().version, retrieval.current_index(default_embedder()))
    run = _what_if(faq_id=draft.pk)
    rows = {row.question.text: row for row in run.results.select_related("question") if row.question}
    vouchers = rows["Do you sell gift vouchers?"]
    assert (vouchers.change, vouchers.decision, vouchers.keys, vouchers.verdict) == ("fixed", "direct", ["vouchers"], "right")
    assert vouchers.answer == "Yes, from S$20." and vouchers.before and vouchers.before["verdict"] != "right"
    assert rows["How do I return an item?"].change == "same"
    after = (Phrasing.objects.count(), KnowledgeIndex.objects.get().version, retrieval.current_index(default_embedder()))
    assert before == after and not engine_was_asked(engine)


def engine_was_asked(engine: ScriptedEngine) -> bool:
    return engine.stats().tokens_total > 0


def test_a_first_draft_is_tried_on_an_empty_knowledge_base(db: None, engine: ScriptedEngine) -> None:
    refresh_index(embedder=default_embedder())
    text = FaqText("Do you sell gift vouchers?", "Yes, from S$20.", phrasings=["gift voucher", "gift card"])
    draft = authoring.create_faq("vouchers", locale="en", text=text, author=None)
    suite.add_question(Asked("Do you sell gift vouchers?", expected="vouchers"), author=None)
    (row,) = _what_if(faq_id=draft.pk).results.all()
    assert row.before and (row.before["decision"], row.before["keys"], row.keys) == ("handoff", [], ["vouchers"])


def test_what_if_shows_a_changed_text_of_a_published_faq(questions: None, engine: ScriptedEngine) -> None:
    hours = Faq.objects.get(key="hours")
    words = FaqText("When are the stores open?", "Only on Mondays.", phrasings=hours.phrasings, category=hours.category)
    authoring.save_change(
        hours.pk, text=words, terms=authoring.FaqTerms.of(hours), expected_revision=hours.latest_revision, author=None
    )
    run = _what_if(faq_id=hours.pk)
    row = run.results.get(question__text="When are the stores open?")
    assert row.change == "changed" and row.answer == "Only on Mondays." and row.before
    assert row.before["answer"] == "Daily from 10:00 to 20:00."


def test_what_if_with_other_limits_and_real_conversations(questions: None, engine: ScriptedEngine, alice: Customer) -> None:
    post(alice, "How do I return an item?")
    Message.objects.filter(role="assistant").update(status="complete", text="x")
    run = _what_if(thresholds=Thresholds(direct_at=0.998, compose_at=0.997, clarify_at=0.1), messages=10)
    assert run.total == 5 and run.results.filter(message__isnull=False).count() == 1
    asked = run.results.get(message__isnull=False)
    assert asked.verdict == "unjudged" and asked.message and asked.before
    if asked.before["confidence"] < 0.99:
        assert asked.change == "changed" and asked.decision != asked.before["decision"]


def test_bent_confidence_decides_by_the_wanted_limits() -> None:
    live = live_thresholds()
    with pytest.raises(InvalidInput):
        Thresholds(direct_at=0.5, compose_at=0.6, clarify_at=0.1)
    assert Thresholds.from_json(live.as_json()) == live


def test_full_answers_are_written_on_demand(questions: None, engine: ScriptedEngine) -> None:
    hours = Faq.objects.get(key="hours")
    authoring.archive_faq(hours.pk, author=None)
    refresh_index(embedder=default_embedder())
    run = _what_if(faq_id=hours.pk)
    starting.go_on(run.pk, full_answers=True)
    running.execute(run.pk, workers=1)
    run.refresh_from_db()
    row = run.results.get(question__text="When are the stores open?")
    assert run.status == "done" and row.before and row.before["full"]["total_s"] >= 0
    assert row.answer == "Daily from 10:00 to 20:00." and row.change == "fixed"


def test_nothing_to_change_or_to_ask_is_refused(shop: None) -> None:
    with pytest.raises(InvalidInput, match="nothing would change"):
        starting.start_what_if(author=None)
    with pytest.raises(InvalidInput, match="no test questions"):
        starting.start_what_if(author=None, thresholds=Thresholds(0.9, 0.5, 0.2))


def _said(*arguments: str) -> str:
    out = io.StringIO()
    call_command("runquestions", *arguments, "--workers=1", stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_the_command_exits_with_1_when_something_broke(questions: None, engine: ScriptedEngine) -> None:
    assert "this is the first finished run" in _said()
    told = json.loads(_said("--json"))
    assert (told["broken"], told["same"], told["questions"]) == (0, 4, 4)
    authoring.archive_faq(Faq.objects.get(key="hours").pk, author=None)
    refresh_index(embedder=default_embedder())
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("runquestions", "--workers=1", stdout=out, stderr=io.StringIO())
    assert ended.value.code == 1 and "broken: When are the stores open?" in out.getvalue()
    with pytest.raises(CommandError, match="takes the id"):
        _said("--against=x")
