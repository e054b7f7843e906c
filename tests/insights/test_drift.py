"""The week's confidences in real rows, against a stored calibration."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from chatbot.conversations.models import Conversation, Customer, Generation, Message
from chatbot.insights import drift
from chatbot.knowledge.drift import MIN_QUESTIONS
from chatbot.knowledge.models import KnowledgeIndex

pytestmark = pytest.mark.django_db
SURE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.7)


def calibrated() -> None:
    KnowledgeIndex.objects.create(calibration={"expected": {"histogram": SURE}})


def test_without_questions_or_calibration_there_is_nothing_to_say() -> None:
    assert drift.read_drift().questions == 0 and drift.read_drift().index is None
    names = [family.name for family in drift.drift_families(drift.read_drift())]
    assert names == ["answerdesk_confidence_questions_last_week"]


def answered(customer: Customer, *, confidence: float, number: int, days_ago: int = 0) -> None:
    when = timezone.now() - timedelta(days=days_ago)
    conversation = Conversation.objects.create(customer=customer, last_seq=number)
    replies = Message.objects.bulk_create(
        Message(conversation=conversation, seq=seq, role=Message.Role.ASSISTANT, text="x") for seq in range(1, number + 1)
    )
    Generation.objects.bulk_create(
        Generation(conversation=conversation, reply=reply, status="done", finished_at=when, trace={"confidence": confidence})
        for reply in replies
    )


def test_a_week_of_weak_questions_raises_the_alarm_once_a_day(alice: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    calibrated()
    answered(alice, confidence=0.3, number=MIN_QUESTIONS)
    answered(alice, confidence=0.3, number=5, days_ago=30)
    logged: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(drift, "log_event", lambda event, **fields: logged.append((event, fields)))
    found = drift.report_drift()
    assert found.alarm and found.questions == MIN_QUESTIONS
    assert [event for event, _ in logged] == ["knowledge.drifted"]
    assert "answerdesk_confidence_drift" in [family.name for family in drift.drift_families(found)]
