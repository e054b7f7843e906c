"""Help can wait: one behaviour over the scripted, the batched and the remote engine."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from chatbot.answering import giving_way
from chatbot.answering.giving_way import Busy, Cancelled
from chatbot.engine.fake import ScriptedEngine
from chatbot.engine.requests import ChatMessage, Engine, EngineStats, GenerationHandle, GenerationRequest
from chatbot.errors import Unavailable
from tests.engine.conftest import engine, tiny_folders  # noqa: F401

NEVER = lambda: False  # noqa: E731


def ask(**settings: Any) -> GenerationRequest:
    return GenerationRequest("r1", [ChatMessage("user", "hello")], **{"max_new_tokens": 12, **settings})


def test_alternatives_come_from_one_request(engine: Engine) -> None:  # noqa: F811
    """More than there are places are asked for as many as there are."""
    output = giving_way.write(ask(alternatives=3), engine=engine, cancelled=NEVER)
    assert output.text and len(output.alternatives) == 1 and engine.stats().running == 0


def test_it_does_not_begin_while_it_would_not_fit_beside_customers(engine: Engine) -> None:  # noqa: F811
    customer = engine.submit(ask(max_new_tokens=900))
    next(iter(customer))
    with pytest.raises(Busy, match="busy with customers"):
        giving_way.write(ask(alternatives=2), engine=engine, cancelled=NEVER, patience_s=0.0)
    assert giving_way.write(ask(alternatives=1), engine=engine, cancelled=NEVER).text
    customer.cancel()


def test_a_server_that_refuses_is_asked_again_as_long_as_patience_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(giving_way, "LOOK_S", 0.01)
    made = ScriptedEngine(gap_s=0.0)
    made.start()
    made.enqueue_busy()
    made.enqueue(["words"])
    assert giving_way.write(ask(), engine=made, cancelled=NEVER).text == "words"
    made.enqueue_busy()
    with pytest.raises(Busy):
        giving_way.write(ask(), engine=made, cancelled=NEVER, patience_s=0.0)
    made.stop()


def test_nobody_wants_it_any_more(engine: Engine) -> None:  # noqa: F811
    seen: list[str] = []

    def cancelled() -> bool:
        return "writing" in seen

    def progress(step: str, text: str) -> None:
        seen.append("writing" if text else step)

    with pytest.raises(Cancelled):
        giving_way.write(ask(), engine=engine, cancelled=lambda: True, progress=progress)
    with pytest.raises(Cancelled):
        slow = ScriptedEngine(gap_s=0.01, pieces_per_answer=200)
        slow.start()
        giving_way.write(ask(max_new_tokens=200), engine=slow, cancelled=cancelled, progress=progress)


def test_customers_who_begin_to_wait_get_its_place() -> None:
    """The only place is taken by a draft; a customer comes; the draft goes, and is written after the customer's answer."""
    made = ScriptedEngine(gap_s=0.01, max_running=1, max_waiting=4)
    made.start()
    made.enqueue(["draft "] * 500, gap_s=0.01)
    made.enqueue(["customer"], gap_s=0.0)
    made.enqueue(["draft again"], gap_s=0.0)
    handles: list[GenerationHandle] = []
    told = threading.Event()

    def progress(step: str, text: str) -> None:
        if text and not told.is_set():
            told.set()
            handles.append(made.submit(ask()))

    output = giving_way.write(ask(max_new_tokens=600), engine=made, cancelled=NEVER, progress=progress)
    assert (handles[0].output.text, output.text) == ("customer", "draft again")


def test_what_goes_wrong_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ScriptedEngine(gap_s=0.0)
    made.start()
    made.enqueue(["x"], error="boom")
    with pytest.raises(Unavailable, match="cannot write this now"):
        giving_way.write(ask(), engine=made, cancelled=NEVER)
    busy = EngineStats(waiting=3, running=8, slots=8, tokens_total=0, model_version="m")
    monkeypatch.setattr(made, "stats", lambda: busy)
    with pytest.raises(Busy):
        giving_way.write(ask(), engine=made, cancelled=NEVER, patience_s=0.0)
    made.stop()
