"""The regular round: what is new is read, summed up and settled, by one worker at a time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from chatbot import runtime
from chatbot.assist import kept_drafts, tasks
from chatbot.assist.models import ConversationNote, ConversationReading
from chatbot.conversations.models import Conversation, Customer
from chatbot.learning.review_models import AgentDraft
from support_portal.accounts.models import User
from tests.assist.talks import say, talk
from tests.knowledge.conftest import WordEmbedder

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> list[object]:
    """What was handed to the generation workers; one is there."""
    found: list[object] = []
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(tasks, "_embedder", WordEmbedder)
    monkeypatch.setattr(tasks, "send", lambda task, **where: found.append(task))
    monkeypatch.setattr(runtime, "workers", lambda: ["one"])
    return found


def test_one_round(alice: Customer, dana: User, sent: list[object]) -> None:
    now = timezone.now()
    waiting = {"status": "waiting", "waiting_since": now, "promised_until": now + timedelta(minutes=5)}
    conversation = talk(alice, "c: Where is it?", "c: It is late.", **waiting)
    Conversation.objects.filter(pk=conversation.pk).update(last_customer_at=now - timedelta(minutes=1))
    kept_drafts.keep(conversation.pk, agent_id=dana.pk, draft="Soon.")
    say(conversation, "a: Tomorrow.", agent=dana)
    Conversation.objects.filter(pk=conversation.pk).update(last_customer_at=now - timedelta(minutes=1))
    tasks.catch_up()
    assert ConversationReading.objects.get().seq == 2 and ConversationNote.objects.get().to_write
    assert AgentDraft.objects.get().sent == "Tomorrow." and sent == [tasks.write_notes]


def test_a_second_worker_leaves_it_to_the_first(alice: Customer, sent: list[object]) -> None:
    talk(alice, "c: Where is it?")
    runtime.valkey().set("assist:catching_up", 1)
    tasks.catch_up()
    assert not ConversationReading.objects.exists()
    runtime.valkey().delete("assist:catching_up")
    tasks.catch_up()
    assert ConversationReading.objects.exists() and not runtime.valkey().exists("assist:catching_up")
