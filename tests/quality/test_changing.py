"""What another version of the model, or other instructions to it, would change: answers written both ways, within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from chatbot import runtime
from chatbot.engine.fake import ScriptedEngine
from chatbot.engine.requests import EngineError, GenerationRequest
from chatbot.errors import InvalidInput
from chatbot.quality import changing, comparing, running, starting, suite, trying
from chatbot.quality.asked import Asked
from chatbot.quality.models import QuestionRun
from chatbot.quality.outcomes import Outcome, change_between
from chatbot.releases import versions
from chatbot.releases.models import ModelVersion

pytestmark = pytest.mark.django_db
COMPOSED = Asked("什么时候开门？", locale="zh-hans", expected="hours")


def answers(request: GenerationRequest) -> Sequence[str]:
    """The tuned version writes otherwise, and whoever is told to be short is."""
    if request.version == "tuned":
        return ["门店每天营业，时间是 10:00 到 20:00 [1]。"]
    return ["每天 10:00 到 20:00 [1]。" if "Be short" in request.messages[0].content else "门店每天 10:00 到 20:00 营业 [1]。"]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ScriptedEngine:
    made = ScriptedEngine(gap_s=0, compose=answers, model_version="house-model")
    made.start()
    monkeypatch.setattr(runtime, "_engine", made)
    monkeypatch.setattr(versions, "verify_files", lambda version: tmp_path)
    return made


@pytest.fixture
def tuned(questions: None, engine: ScriptedEngine) -> ModelVersion:
    base = versions.record_loaded("house-model", folder=None)
    suite.add_question(COMPOSED, author=None)
    return ModelVersion.objects.create(name="tuned", base=base, folder="adapters/tuned")


def _what_if(**options: Any) -> QuestionRun:
    run = starting.start_what_if(author=None, enqueue=False, **options)
    running.execute(run.pk, workers=1)
    run.refresh_from_db()
    return run


def test_another_version_writes_what_the_model_answers_and_nothing_else(tuned: ModelVersion, engine: ScriptedEngine) -> None:
    assert changing.candidates() == [tuned]
    run = _what_if(version="tuned")
    assert (run.status, run.answers_total, run.model_version) == ("done", 1, "house-model")
    rows = {row.question.text: row for row in run.results.select_related("question") if row.question}
    written = rows[COMPOSED.text]
    assert (written.change, written.verdict) == ("reworded", "right") and written.before
    assert written.before["answer"].startswith("门店") and written.answer.startswith("门店每天营业")
    assert rows["How do I return an item?"].change == "same", "quoted: no model writes it"
    assert engine.versions == ("house-model",), "loaded for the run only"
    told = comparing.beside(run)
    assert told.written == 1 and told.seconds and told.verdicts["right"] == (4, 4)


def test_other_instructions_reach_the_model_of_this_run_only(tuned: ModelVersion, engine: ScriptedEngine) -> None:
    run = _what_if(instructions="Be short.")
    row = run.results.get(question__text=COMPOSED.text)
    assert row.answer.startswith("每天") and row.change == "reworded" and runtime.company().instructions == ""
    first, second = starting.start_suite(author=None, enqueue=False), starting.start_suite(author=None, enqueue=False)
    running.execute(first.pk, workers=1)
    house = runtime.company()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runtime, "company", lambda: house.model_copy(update={"instructions": "Be short."}))
        running.execute(second.pk, workers=1)
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.prompt != second.prompt, "two runs tell that the prompt was another"
    assert comparing.count(comparing.compare(second, first)) == {"fixed": 0, "broken": 0, "changed": 0, "reworded": 1, "same": 4}


def test_few_answers_are_written_and_more_on_demand(tuned: ModelVersion, engine: ScriptedEngine) -> None:
    suite.add_question(Asked("营业时间", locale="zh-hans", expected="hours"), author=None)
    run = _what_if(version="tuned", answers=1)
    assert (run.answers_total, run.results.filter(change="").count(), changing.written(run).count()) == (1, 1, 1)
    assert comparing.beside(run).verdicts["right"] == (4, 4), "what is not compared is not counted"
    starting.go_on(run.pk)
    running.execute(run.pk, workers=1)
    run.refresh_from_db()
    assert (run.status, run.answers_total, run.results.filter(change="").count()) == ("done", 2, 0)


def test_a_stopped_comparison_goes_on_with_the_rest(
    tuned: ModelVersion, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = starting.start_what_if(author=None, version="tuned", enqueue=False)
    press_stop = changing.try_patiently

    def pressed(*args: Any, **kwargs: Any) -> trying.Tried:
        starting.stop_run(run.pk)
        return press_stop(*args, **kwargs)

    monkeypatch.setattr(changing, "try_patiently", pressed)
    running.execute(run.pk, workers=1)
    run.refresh_from_db()
    assert run.status == "stopped" and engine.versions == ("house-model",)
    monkeypatch.setattr(changing, "try_patiently", press_stop)
    starting.go_on(run.pk)
    running.execute(run.pk, workers=1)
    run.refresh_from_db()
    assert run.status == "done" and changing.written(run).count() == 1


def test_a_version_that_is_gone_fails_the_run_by_name(tuned: ModelVersion, engine: ScriptedEngine) -> None:
    with pytest.raises(InvalidInput, match="cannot answer here"):
        starting.start_what_if(author=None, version="nobody", enqueue=False)
    run = starting.start_what_if(author=None, version="tuned", enqueue=False)
    ModelVersion.objects.filter(name="tuned").update(folder="")
    running.execute(run.pk, workers=1)
    run.refresh_from_db()
    assert (run.status, run.error) == ("failed", "version_gone") and changing.candidates() == []


def test_a_crowd_is_no_answer(tuned: ModelVersion, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the model cannot be asked, the chat quotes the source instead; a run must not call that the version's answer."""
    ask, crowded = trying.try_question, [True] * (trying._ATTEMPTS - 1)

    def crowd(*args: Any, **kwargs: Any) -> trying.Tried:
        tried = ask(*args, **kwargs)
        if crowded and crowded.pop():
            tried.answer.trace["fallback"] = "queue_long"
        return tried

    monkeypatch.setattr(trying, "try_question", crowd)
    tried = trying.try_patiently(COMPOSED, search=changing.search_all, engine=engine)
    assert tried.decision == "compose" and not tried.fallback and not crowded
    crowded[:] = [True] * trying._ATTEMPTS
    with pytest.raises(EngineError, match="could not be asked"):
        trying.try_patiently(COMPOSED, search=changing.search_all, engine=engine)


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("Within 30 days [1].", "You have thirty days [1].", "reworded"),
        ("Within 30 days [1].", "Within 14 days [1].", "changed"),
        ("Within 30 days [1].", "Within 30 days, for 5 EUR [1].", "changed"),
        ("Within 30 days [1].", "Within 30 days [1].", "same"),
    ],
)
def test_written_answers_are_held_against_each_other_by_their_facts(before: str, after: str, change: str) -> None:
    outcomes = [
        Outcome(decision="compose", verdict="right", keys=("a",), confidence=0.8, answer=text) for text in (before, after)
    ]
    assert change_between(*outcomes) == change
