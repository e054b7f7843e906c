"""Random orders of everything that can happen to a conversation, against a real database. A seed that fails fails again."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from chatbot import runtime
from chatbot.answering import pipeline
from chatbot.answering.answers import Question
from chatbot.conversations import publishing, tasks
from chatbot.conversations.models import Customer
from chatbot.engine.fake import ScriptedEngine
from chatbot.errors import ChatbotError
from support_portal.accounts.models import User
from tests.conversations.world import World

SEEDS = 200
ACTS = 10
A_BLOCK = 50


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, dana: User, omar: User) -> Callable[[int], World]:
    """Make worlds whose bot says what they script. Nobody listens to the broker: the worlds are the workers."""
    monkeypatch.setattr(runtime, "engine", ScriptedEngine)
    monkeypatch.setattr(publishing, "GATHER_S", 0)
    monkeypatch.setattr(tasks, "_send", lambda *args, **kwargs: True)
    worlds: dict[str, World] = {}

    def steps(question: Question, **parts: Any) -> Iterator[Any]:
        return worlds[question.conversation].steps()

    monkeypatch.setattr(pipeline, "answer", steps)

    def make(seed: int) -> World:
        made = World(Customer.objects.create(), [dana, omar], seed=seed)
        worlds[str(made.conversation_id)] = made
        return made

    return make


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", range(0, SEEDS, A_BLOCK))
def test_every_order_keeps_one_owner_a_silent_bot_and_no_gap(world: Callable[[int], World], first: int) -> None:
    done: set[str] = set()
    for seed in range(first, first + A_BLOCK):
        made = world(seed)
        for _ in range(ACTS):
            made.act()
        made.finish()
        made.check()
        made.check_stream()
        done |= set(made.done)
        assert not made.row.generations.filter(status__in=["pending", "running"]).exists(), seed
        last = made.row.messages.exclude(role="system").order_by("-seq").first()
        if made.row.status != "resolved":  # what an agent calls resolved needs no answer
            assert last is not None and last.role != "customer", f"seed {seed}, {made.done}: the last word has no answer"
    assert len(done) >= 15, "the acts hardly ever succeed"


@pytest.mark.django_db(transaction=True)
def test_everybody_at_once(world: Callable[[int], World]) -> None:
    """Two agents, the customer and a worker in threads of their own: no deadlock, and the same invariants at the end."""
    for seed in range(4):
        made = world(1000 + seed)
        agents = [made.claim, made.send, made.hand_back, made.take_from_colleague, made.release, made.lose_desk]
        problems = in_threads(
            made,
            [agents, agents, [made.write, made.ask_for_person, made.write_again], [made.work, made.sweep]],
            seed=seed,
        )
        assert problems == []
        made.finish()
        made.check()
        made.check_stream(in_order=False)


def in_threads(made: World, roles: list[list[Callable[[], object]]], *, seed: int) -> list[str]:
    problems: list[str] = []

    def run(acts: list[Callable[[], object]], own: random.Random) -> None:
        for _ in range(12):
            try:
                own.choice(acts)()
            except (ChatbotError, AssertionError):
                pass  # a refusal, or another thread came between an act and its own check
            except Exception as error:
                problems.append(repr(error))
        connection.close()

    threads = [threading.Thread(target=run, args=(acts, random.Random(seed * 10 + i))) for i, acts in enumerate(roles)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems
