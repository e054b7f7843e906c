"""The demo's made-up conversations: the same each time, marked, and sound enough for desk, insights and the database."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.db.models import Count, F, Max
from django.utils import timezone

from chatbot.conversations.models import Conversation, Generation, Message
from chatbot.conversations.transcripts import conversations_of
from chatbot.insights.models import ConversationFact
from chatbot.insights.periods import recent
from chatbot.insights.reports import Selection, totals
from chatbot.knowledge.drift import ALARM_AT, drift_of
from chatbot.knowledge.importing import import_faqs
from support_portal.accounts.models import User
from support_portal.demo_company import history
from support_portal.demo_company.history import load_history

pytestmark = pytest.mark.django_db


@pytest.fixture
def loaded(alice: object) -> float:
    """The history on top of the demo's FAQs; returns the seconds it took."""
    User.objects.create(username="agent", first_name="Dana", role=User.Role.AGENT)
    import_faqs((Path(history.__file__).parent / "faqs.jsonl").read_bytes(), format="jsonl", author=None, enqueue=False)
    started = time.monotonic()
    assert load_history() > 600
    return time.monotonic() - started


def test_a_living_house_within_seconds(loaded: float) -> None:
    assert loaded < 30
    now = timezone.now()
    period = recent(30, today=now.date(), zone=ZoneInfo("UTC"))
    (counts, before) = (one.counts for one in totals(Selection(period)))
    assert counts.conversations > 300 and before.conversations > 300
    assert min(counts.confirmed, counts.assumed, counts.handed_off, counts.abandoned, counts.reopened) > 0
    assert counts.csat_bot.given > 20 and counts.csat_person.given > 10 and counts.up > counts.down > 0
    assert 0.4 < (counts.share("answered") or 0) < 0.85
    assert ConversationFact.objects.values("topic").distinct().count() > 5
    assert ConversationFact.objects.filter(agent_id__isnull=False).values("agent_id").distinct().count() == 3
    assert Conversation.objects.filter(status="waiting").count() == 2


def test_it_is_marked_sound_and_loaded_once(loaded: float) -> None:
    assert not Conversation.objects.exclude(tags__contains=["demo"]).exists()
    soon = timezone.now() + timedelta(seconds=1)
    assert (
        not Message.objects.filter(created_at__gt=soon).exists() and not Conversation.objects.filter(updated_at__gt=soon).exists()
    )
    assert not Generation.objects.filter(status__in=["pending", "running"]).exists()
    numbered = Conversation.objects.annotate(said=Count("messages"), last=Max("messages__seq"))
    assert not numbered.exclude(said=F("last_seq"), last=F("last_seq")).exists()
    traces = Generation.objects.filter(trace__has_key="confidence").values_list("trace__confidence", flat=True)
    drift = drift_of(list(traces), expected=history._EXPECTED)
    assert drift.index is not None and drift.index < ALARM_AT
    before = Message.objects.count()
    assert load_history() == 0 and Message.objects.count() == before
    assert conversations_of(uuid.uuid4()) == []
    now = timezone.now()
    one, other = (history.History(now=now).rows() for _ in range(2))
    assert [(m.pk, m.text, m.created_at) for m in one.messages] == [(m.pk, m.text, m.created_at) for m in other.messages]
