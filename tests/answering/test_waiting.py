from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from chatbot.answering import asking, pipeline
from chatbot.answering.pipeline import Answer, Progress, Waiting
from chatbot.answering.waiting import Line
from chatbot.engine.requests import EngineBusy, GenerationHandle, GenerationRequest
from chatbot.knowledge.confidence import COMPOSE_AT, DIRECT_AT
from tests.answering.conftest import DELIVERY, DELIVERY_ZH, FakeEngine, FakeSearch, Ranked, Run

SURE, FAIR, FOLLOWS = (DIRECT_AT + 1) / 2, (COMPOSE_AT + DIRECT_AT) / 2, COMPOSE_AT - 0.01
HISTORY = [("user", "delivery"), ("assistant", "Delivery costs $4.90.")]


class FullEngine(FakeEngine):
    """Refuses the first `refusals` requests."""

    def __init__(self, *, refusals: int, **options: Any) -> None:
        super().__init__(["Delivery costs $4.90 [1]."], **options)
        self.refusals = refusals

    def submit(self, request: GenerationRequest) -> GenerationHandle:
        self.refusals -= 1
        if self.refusals >= 0:
            raise EngineBusy(retry_after_s=0.05)
        return super().submit(request)


def search(confidence: float, found: Any = DELIVERY) -> FakeSearch:
    return FakeSearch(("delivery", Ranked([found], confidence)))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_POLL_S", 0.01)
    monkeypatch.setattr(asking, "_NOTICE_S", 0.02)


def test_source_that_stands_as_the_answer_is_quoted_at_once_by_a_full_house(run: Run) -> None:
    steps = run("delivery", search=search(FAIR), engine=FullEngine(refusals=1))
    assert [type(step) for step in steps] == [Answer]
    assert (steps[0].text, steps[0].trace["fallback"]) == (DELIVERY.answer, "engine_busy")  # type: ignore[union-attr]


def test_who_needs_the_model_waits_and_is_answered(run: Run) -> None:
    """A follow-up that no entry answers word for word: asking back would be nonsense, for the model can answer."""
    engine = FullEngine(refusals=2, waiting=7)
    steps = run("and that?", search=search(FOLLOWS), engine=engine, history=HISTORY)
    assert steps[0] == Waiting(7)
    answer = steps[-1]
    assert isinstance(answer, Answer) and (answer.decision, answer.text) == ("compose", "Delivery costs $4.90 [1].")


def test_source_in_another_language_is_the_last_resort(run: Run) -> None:
    steps = run("how much is delivery?", search=search(SURE, DELIVERY_ZH), engine=FullEngine(refusals=1))
    assert isinstance(steps[0], Waiting) and isinstance(steps[-1], Answer)
    assert "fallback" not in steps[-1].trace


def test_waiting_ends_in_time_with_what_there_is(run: Run) -> None:
    begun = time.monotonic()
    steps = run("and that?", search=search(FOLLOWS), engine=FullEngine(refusals=10**6), history=HISTORY, deadline_s=0.4)
    assert time.monotonic() - begun < 5
    answer = steps[-1]
    assert isinstance(answer, Answer) and (answer.decision, answer.trace["fallback"]) == ("clarify", "engine_busy")
    assert answer.choices == (DELIVERY.question,)


def test_customer_can_stop_while_waiting(run: Run) -> None:
    polls = iter([False] * 3)
    engine = FullEngine(refusals=10**6)
    steps = run("and that?", search=search(FOLLOWS), engine=engine, history=HISTORY, should_stop=lambda: next(polls, True))
    answer = steps[-1]
    assert isinstance(answer, Answer) and (answer.finish_reason, answer.text) == ("cancelled", "")


def test_long_queue_gives_the_source_instead_of_a_late_answer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "QUEUE_PATIENCE_S", 0.1)
    engine = FakeEngine(hold=True, waiting=4)
    steps = run("delivery", search=search(FAIR), engine=engine)
    answer = steps[-1]
    assert isinstance(answer, Answer) and (answer.text, answer.trace["fallback"]) == (DELIVERY.answer, "queue_long")
    assert engine.handles[0].cancelled


def test_who_is_patient_waits_for_the_model(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "QUEUE_PATIENCE_S", 0.0)
    found = FakeSearch(("", Ranked((DELIVERY,), (COMPOSE_AT + DIRECT_AT) / 2)))
    in_a_hurry, patient = (
        run("shipping", search=found, engine=FakeEngine(busy=True), patient=patient, deadline_s=0.2)[-1]
        for patient in (False, True)
    )
    assert isinstance(in_a_hurry, Answer) and isinstance(patient, Answer)
    assert in_a_hurry.trace["total_ms"] < 100 <= patient.trace["total_ms"]


def test_next_in_line_is_not_sent_away(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "QUEUE_PATIENCE_S", 0.05)
    engine = FakeEngine(hold=True, waiting=1)
    until = time.monotonic() + 0.5
    steps = run("delivery", search=search(FAIR), engine=engine, should_stop=lambda: time.monotonic() > until)
    assert steps[0] == Waiting(0) and not any(isinstance(step, Progress) for step in steps)
    assert steps[-1].finish_reason == "cancelled"  # type: ignore[union-attr]


def test_later_arrivals_are_not_ahead_and_a_place_never_grows() -> None:
    engine, line = FakeEngine(waiting=3), Line()
    with line.join(engine) as third:  # two strangers and this one wait
        assert third.ahead() == 2
        with line.join(engine) as fourth:
            engine.waiting = 4
            assert (third.ahead(), fourth.ahead()) == (2, 3)
            engine.waiting = 3  # the first was taken
            assert (third.ahead(), fourth.ahead()) == (1, 2)
            engine.waiting = 9  # callers that are not in this line
            assert (third.ahead(), fourth.ahead()) == (1, 2)


def test_first_refused_asks_first() -> None:
    engine, line = FakeEngine(), Line()
    with line.join(engine) as second, line.join(engine) as first_number_later:
        assert second.may_ask_again()
        assert not first_number_later.may_ask_again()
        second.accepted()
        assert first_number_later.may_ask_again()


def test_place_is_given_up_when_the_customer_is_gone() -> None:
    engine, line = FakeEngine(waiting=2), Line()

    def come_and_go() -> None:
        with line.join(engine):
            pass

    with line.join(engine) as mine:
        thread = threading.Thread(target=come_and_go)
        thread.start()
        thread.join()
        assert mine.ahead() == 1
