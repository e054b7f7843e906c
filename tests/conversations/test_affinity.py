from __future__ import annotations

import uuid
from typing import Any

import pytest
import redis

from chatbot import runtime
from chatbot.conversations import affinity, sweeping, tasks
from chatbot.conversations.models import Customer
from chatbot.engine.fake import ScriptedEngine
from tests.conversations.factories import generation_of, post

CONVERSATION = uuid.uuid4()
OTHER = "elsewhere:7"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    made = ScriptedEngine(max_running=2)
    made.start()
    monkeypatch.setattr(runtime, "_engine", made)
    return made


def announce_other(*, room: int) -> None:
    runtime.valkey().set(f"room:{OTHER}", room)
    runtime.valkey().zadd(runtime.WORKERS_KEY, {OTHER: 1e15})


def queued(worker: str) -> int:
    return int(runtime.valkey().llen(affinity.own_queue(worker)))


def test_conversation_goes_back_to_the_worker_that_wrote_for_it(engine: ScriptedEngine) -> None:
    assert affinity.preferred_queue(CONVERSATION) is None
    affinity.remember(CONVERSATION)
    assert affinity.preferred_queue(CONVERSATION) is None, "a worker that has not announced itself"
    runtime.announce_worker()
    assert affinity.preferred_queue(CONVERSATION) == affinity.own_queue(runtime.worker_name())
    assert affinity.preferred_queue(uuid.uuid4()) is None


def test_worker_gets_no_more_than_it_has_room_for_between_two_beats(engine: ScriptedEngine) -> None:
    affinity.remember(CONVERSATION)
    runtime.announce_worker()
    assert [affinity.preferred_queue(CONVERSATION) is not None for _ in range(3)] == [True, True, False]


def test_worker_that_leaves_is_no_longer_preferred(engine: ScriptedEngine) -> None:
    affinity.remember(CONVERSATION)
    runtime.announce_worker()
    runtime.withdraw_worker()
    assert affinity.preferred_queue(CONVERSATION) is None


def test_preference_costs_one_round_trip_and_nothing_without_valkey(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    affinity.preferred_queue(CONVERSATION)  # from now on the script is known
    execute = redis.Redis.execute_command
    monkeypatch.setattr(
        redis.Redis, "execute_command", lambda self, *words, **k: (sent.append(words[0]), execute(self, *words, **k))[1]
    )
    affinity.preferred_queue(CONVERSATION)
    assert sent == ["EVALSHA"]

    def refuse(self: redis.Redis, *words: Any, **options: Any) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(redis.Redis, "execute_command", refuse)
    assert affinity.preferred_queue(CONVERSATION) is None
    affinity.remember(CONVERSATION)


def test_second_turn_is_put_into_the_own_queue_and_swept_to_the_shared_one(
    alice: Customer, engine: ScriptedEngine, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = post(alice)
    affinity.remember(first.conversation.id)
    runtime.announce_worker()
    with django_capture_on_commit_callbacks(execute=True):
        second = post(alice, conversation_id=first.conversation.id)
    assert (queued(runtime.worker_name()), runtime.valkey().llen("generation")) == (1, 0)
    monkeypatch.setattr(tasks, "ENQUEUED_PATIENCE_S", tasks.ENQUEUED_PATIENCE_S - tasks.PREFERRED_PATIENCE_S)
    sweeping.sweep()
    assert runtime.valkey().llen("generation") == 2, "the first, which was never enqueued, and the second, whose worker is silent"
    assert generation_of(second).enqueued_at is not None


def test_full_worker_passes_on_what_another_could_begin(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(tasks.reply, "write_reply", written.append)
    announce_other(room=1)
    tasks.write_reply(1)
    assert (written, queued(OTHER)) == ([1], 0), "there is room here"
    monkeypatch.setattr(engine, "_max_running", 0)
    tasks.write_reply(2)
    assert (written, queued(OTHER)) == ([1], 1)
    tasks.write_reply(3)
    tasks.write_reply(4, passed_on=True)
    assert (written, queued(OTHER)) == ([1, 3, 4], 1), "the other's room is used up; what was passed on stays"


def test_queues_of_the_dead_are_removed(engine: ScriptedEngine) -> None:
    runtime.announce_worker()
    announce_other(room=1)
    for worker in (OTHER, runtime.worker_name()):
        runtime.valkey().lpush(affinity.own_queue(worker), "a message")
    affinity.drop_queues_of_the_dead()
    assert (queued(OTHER), queued(runtime.worker_name())) == (0, 1)
    runtime.valkey().zadd(runtime.WORKERS_KEY, {OTHER: 1})
    affinity.drop_queues_of_the_dead()
    assert runtime.valkey().zrange(runtime.WORKERS_KEY, 0, -1) == [runtime.worker_name().encode()]
