from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from chatbot import runtime
from chatbot.conversations import leases, waiting_line
from chatbot.conversations.models import Customer, Generation
from chatbot.engine.fake import ScriptedEngine
from chatbot.protocol import SERVER_FRAMES, ReplyWaiting
from tests.conversations.factories import generation_of, post


@pytest.fixture(autouse=True)
def worker_with_two_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ScriptedEngine(max_running=2)
    engine.start()
    monkeypatch.setattr(runtime, "_engine", engine)
    runtime.announce_worker()


@pytest.fixture
def line(db: None) -> list[Any]:
    """Five customers' replies, nobody has begun one."""
    return [post(Customer.objects.create()) for _ in range(5)]


def wait_a_while() -> None:
    Generation.objects.update(created_at=timezone.now() - timedelta(seconds=2))


def tell() -> int:
    runtime.valkey().delete("waiting_line:teller")
    return waiting_line.tell_places()


def places(line: list[Any]) -> list[int | None]:
    """What each customer was told last."""
    told = []
    for accepted in line:
        entries = runtime.valkey().xrevrange(f"conversation:{accepted.conversation.id}", count=1)
        frame = SERVER_FRAMES.validate_json(entries[0][1][b"frame"]) if entries else None
        told.append(frame.position if isinstance(frame, ReplyWaiting) else None)
    return told


def test_places_of_the_whole_installation_fall_and_never_grow(line: list[Any]) -> None:
    wait_a_while()
    assert tell() == 5 and places(line) == [0, 0, 0, 1, 2]
    held = leases.claim(generation_of(line[0]).pk)
    assert held is not None
    assert tell() == 4 and places(line)[1:] == [0, 0, 1, 2], "begun, so it is its worker's to tell"
    Generation.objects.filter(pk=held.generation_id).update(status="done", finished_at=timezone.now(), lease_until=None)
    assert tell() == 4 and places(line)[1:] == [0, 0, 0, 1]
    leases.let_go(held)


def test_reply_given_back_keeps_everybodys_place(line: list[Any]) -> None:
    wait_a_while()
    held = leases.claim(generation_of(line[0]).pk)
    assert held is not None
    tell()
    before = places(line)
    leases.give_back(held)
    leases.let_go(held)
    tell()
    assert places(line)[1:] == before[1:]


def test_desk_is_told_the_same_places(line: list[Any]) -> None:
    assert [waiting_line.ahead_of(generation_of(accepted)) for accepted in line] == [0, 0, 0, 1, 2]
    held = leases.claim(generation_of(line[0]).pk)
    assert held is not None
    assert waiting_line.ahead_of(generation_of(line[0])) is None
    leases.let_go(held)


def test_who_is_served_at_once_hears_of_no_queue(line: list[Any]) -> None:
    assert tell() == 0 and places(line) == [None] * 5


def test_one_worker_tells_for_all(line: list[Any]) -> None:
    wait_a_while()
    assert (waiting_line.tell_places(), waiting_line.tell_places()) == (5, 0)


def test_telling_costs_one_query(line: list[Any], django_assert_num_queries: Any) -> None:
    wait_a_while()
    with django_assert_num_queries(1):
        tell()
