from __future__ import annotations

import os
import signal
import threading

import pytest

from chatbot import runtime
from chatbot.conversations import keeper
from chatbot.engine.fake import ScriptedEngine


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    made = ScriptedEngine()
    made.start()
    monkeypatch.setattr(runtime, "_engine", made)
    return made


def test_worker_announces_itself_and_withdraws(engine: ScriptedEngine) -> None:
    runtime.announce_worker()
    [worker] = runtime.workers()
    assert (worker.model_version, worker.running, worker.waiting) == ("scripted", 0, 0)
    runtime.withdraw_worker()
    assert runtime.workers() == []


def test_worker_leaves_when_its_engine_has_died(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    signals: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: signals.append(number))
    keeper.leave_without_engine()
    assert signals == []
    engine.stop()
    keeper.leave_without_engine()
    assert signals == [signal.SIGTERM]


def test_a_duty_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def fail_twice() -> None:
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError
        runtime.stopping.set()

    for place, name in [
        ("leases", "end_stopped"),
        ("leases", "renew"),
        ("sweeping", "sweep"),
        ("waiting_line", "tell_places"),
        ("affinity", "drop_queues_of_the_dead"),
        ("following", "follow_live"),
    ]:
        monkeypatch.setattr(getattr(keeper, place), name, lambda: None)
    monkeypatch.setattr(keeper, "leave_without_engine", lambda: None)
    monkeypatch.setattr(runtime, "WORKER_BEAT_S", 0)
    monkeypatch.setattr(runtime, "announce_worker", fail_twice)
    try:
        thread = threading.Thread(target=keeper.keep)
        thread.start()
        thread.join(10)
    finally:
        runtime.stopping.clear()
    assert len(calls) == 3 and not thread.is_alive()
