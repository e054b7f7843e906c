"""Moods and topics of conversations, and what anger does."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from chatbot.assist import heads, reading
from chatbot.assist.classifiers import Classifiers
from chatbot.assist.models import ConversationReading
from chatbot.conversations.models import Conversation, ConversationEvent, Customer
from support_portal.accounts.models import User
from tests.assist.talks import say, talk
from tests.knowledge.conftest import WordEmbedder

pytestmark = pytest.mark.django_db
EMBEDDER = WordEmbedder()
SENTENCES = {
    "angry": ["this is a disgrace", "useless thieves", "a disgrace and theft"],
    "neutral": ["where is the store", "how long is delivery", "what does it cost"],
    "pleased": ["thank you so much", "wonderful thanks", "lovely thank you"],
    "unhappy": ["sadly it broke", "it is broken and late", "disappointed it broke"],
}
TOPICS = {"Delivery": ["how long is delivery", "parcel late"], "Stores": ["where is the store", "store hours"]}


def _head(examples: dict[str, list[str]]) -> heads.Head:
    texts = [(text, label) for label, lines in examples.items() for text in lines]
    return heads.fit(EMBEDDER.encode([text for text, _ in texts]), [label for _, label in texts], embedder="words/1", ridge=1e-4)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Classifiers(_head(SENTENCES), _head(TOPICS))
    monkeypatch.setattr(reading.classifiers, "load", lambda embedder: found)


def _read() -> int:
    return reading.catch_up(embedder=EMBEDDER)


def test_a_conversation_is_read_once_and_again_when_the_customer_goes_on(alice: Customer) -> None:
    conversation = talk(alice, "c: how long is delivery", "b: One day.", "c: how long is the delivery")
    assert (_read(), _read()) == (1, 0)
    conversation.refresh_from_db()
    assert conversation.topic == "Delivery" and conversation.sentiment_score is not None
    say(conversation, "c: thank you so much, wonderful")
    assert _read() == 1
    conversation.refresh_from_db()
    assert (conversation.sentiment, ConversationReading.objects.get().sentiment) == ("positive", "pleased")
    assert ConversationReading.objects.get().seq == conversation.last_seq
    assert conversation.status == Conversation.Status.OPEN


def test_anger_brings_a_person_before_others(alice: Customer) -> None:
    conversation = talk(alice, "c: this is a disgrace, useless thieves")
    _read()
    conversation.refresh_from_db()
    assert (conversation.status, conversation.handoff_reason) == ("waiting", "anger")
    assert (conversation.priority, conversation.sentiment) == (Conversation.Priority.HIGH, "negative")
    assert conversation.sentiment_score is not None and conversation.sentiment_score < -0.5
    kinds = list(ConversationEvent.objects.values_list("kind", "reason", "actor"))
    assert ("asked", "anger", None) in kinds and ("priority", "", None) in kinds


def test_anger_does_not_take_a_conversation_from_who_has_it(alice: Customer, dana: User) -> None:
    held: dict[str, Any] = {"status": "held", "assigned_to": dana, "held_since": timezone.now()}
    conversation = talk(alice, "c: this is a disgrace, useless thieves", **held)
    _read()
    conversation.refresh_from_db()
    assert (conversation.status, conversation.assigned_to_id, conversation.sentiment) == ("held", dana.pk, "negative")


def test_a_plain_question_after_anger_is_not_calm_yet() -> None:
    mood = reading.mood_after({}, [{"angry": 0.9, "neutral": 0.1}])
    mood = reading.mood_after(mood, [{"angry": 0.05, "neutral": 0.95}])
    assert max(mood, key=lambda name: mood[name]) == "angry"
    mood = reading.mood_after(mood, [{"angry": 0.05, "neutral": 0.95}])
    assert max(mood, key=lambda name: mood[name]) == "neutral"


def test_a_topic_must_be_clear() -> None:
    assert reading.topic_of({}) == ""
    assert reading.topic_of(reading.topics_after({}, [{"a": 0.34, "b": 0.33, "c": 0.33}])) == ""
    assert reading.topic_of(reading.topics_after({"hello": 0.3}, [{"returns": 0.8, "hello": 0.2}])) == "returns"


def test_a_deleted_or_silent_conversation_is_passed_over(alice: Customer) -> None:
    talk(alice, "b: Hello.")
    assert _read() == 0
    gone = talk(alice, "c: hello")
    gone_id = gone.pk
    gone.delete()
    assert reading.read(gone_id, known=reading.classifiers.load(EMBEDDER), embedder=EMBEDDER) == ""
