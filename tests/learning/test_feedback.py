from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from chatbot.conversations.models import Customer, Generation, Message
from chatbot.conversations.transcripts import view_of
from chatbot.errors import Conflict, NotFound
from chatbot.learning.feedback import record_feedback
from chatbot.learning.models import Feedback
from chatbot.protocol import MessageAccepted
from chatbot.training.records import read_records
from tests.conversations.factories import post


@pytest.fixture
def answered(alice: Customer) -> MessageAccepted:
    accepted = post(alice)
    assert accepted.reply is not None
    Generation.objects.update(status="done", finished_at=timezone.now(), text="Two days.", model_version="m")
    Message.objects.filter(pk=accepted.reply.id).update(status="complete", text="Two days.")
    return accepted


def test_thumb_is_stored_changed_and_taken_back(alice: Customer, answered: MessageAccepted) -> None:
    assert answered.reply is not None
    record_feedback(answered.reply.id, customer_id=alice.pk, rating=-1, reason="outdated", comment=" old price ")
    assert (Feedback.objects.get().reason, Feedback.objects.get().comment) == ("outdated", "old price")
    record_feedback(answered.reply.id, customer_id=alice.pk, rating=1)
    view = view_of(answered.reply.id)
    assert view is not None and view.rating == 1
    record_feedback(answered.reply.id, customer_id=alice.pk, rating=0)
    assert Feedback.objects.count() == 0


def test_stranger_cannot_rate(answered: MessageAccepted, mallory: uuid.UUID) -> None:
    assert answered.reply is not None
    with pytest.raises(NotFound):
        record_feedback(answered.reply.id, customer_id=mallory, rating=1)


def test_unfinished_answer_cannot_be_rated(alice: Customer) -> None:
    accepted = post(alice)
    assert accepted.reply is not None
    with pytest.raises(Conflict):
        record_feedback(accepted.reply.id, customer_id=alice.pk, rating=1)


def test_rated_answers_are_exported_as_training_lines(alice: Customer, answered: MessageAccepted, tmp_path: Path) -> None:
    assert answered.reply is not None
    record_feedback(answered.reply.id, customer_id=alice.pk, rating=-1, reason="incorrect")
    call_command("exportfeedback", str(tmp_path / "f.jsonl"))
    [record] = read_records(tmp_path / "f.jsonl")
    assert (record.completion, record.label, record.reason, record.model_version) == ("Two days.", False, "incorrect", "m")
    assert record.prompt == [{"role": "user", "content": "How long does delivery take?"}]
