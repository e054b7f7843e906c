"""Read what customers write: the mood and the topic of each conversation, and anger that a person should hear of at once.

Runs in the general worker a few seconds after each message; reading twice, or two workers at once, is harmless. Nothing here
asks the language model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from chatbot.assist import classifiers
from chatbot.assist.classifiers import Classifiers
from chatbot.assist.models import ConversationReading
from chatbot.conversations import handoff, labels
from chatbot.conversations.models import Conversation, Message
from chatbot.engine.embedder import Embedder
from chatbot.errors import ChatbotError
from chatbot.telemetry import log_event

WINDOW = timedelta(hours=1)
BATCH = 100
# Of one conversation at once; whoever writes more is read by the newest.
MAX_MESSAGES = 20
# In cross-validation on the training sentences 60 of 61 messages that reach it are angry, and 60 of 70 angry ones reach it.
ANGER_AT = 0.6
# What was felt before counts half with each message; a plain question says little about the mood.
_MEMORY = 0.5
_NEUTRAL_WEIGHT = 0.4
# A topic must have this share of all that speaks for any.
TOPIC_AT = 0.4
_WORDS = {"angry": "negative", "unhappy": "negative", "neutral": "neutral", "pleased": "positive"}
_SIGNS = {"angry": -1.0, "unhappy": -0.5, "neutral": 0.0, "pleased": 1.0}


def catch_up(*, embedder: Embedder, everything: bool = False) -> int:
    """Read the conversations in which customers have written since they were read; returns how many. Newest first."""
    ids = list(_unread(everything=everything).values_list("pk", flat=True)[: None if everything else BATCH])
    if not ids:
        return 0
    known = classifiers.load(embedder)
    for conversation_id in ids:
        read(conversation_id, known=known, embedder=embedder)
    log_event("conversations.read", conversations=len(ids))
    return len(ids)


def read(conversation_id: UUID, *, known: Classifiers, embedder: Embedder) -> str:
    """Read what is new in one conversation; returns its sentiment now. A deleted one is passed over."""
    seen = ConversationReading.objects.filter(conversation_id=conversation_id).values_list("seq", flat=True).first() or 0
    news = list(
        Message.objects.filter(conversation_id=conversation_id, role=Message.Role.CUSTOMER, seq__gt=seen)
        .order_by("-seq")
        .values_list("seq", "text")[:MAX_MESSAGES]
    )[::-1]
    if not news:
        return ""
    vectors = embedder.encode([text for _, text in news])
    moods = known.sentiment.shares(vectors)
    topics = known.topic.shares(vectors) if known.topic else []
    with transaction.atomic():
        if not Conversation.objects.select_for_update().filter(pk=conversation_id).exists():
            return ""
        found, _ = ConversationReading.objects.get_or_create(conversation_id=conversation_id)
        if found.seq != seen:
            return found.sentiment  # Another worker was quicker.
        found.seq = news[-1][0]
        found.mood = mood_after(found.mood, moods)
        found.topics = topics_after(found.topics, topics)
        found.sentiment = max(found.mood, key=lambda name: found.mood[name])
        found.save()
    _tell(conversation_id, found)
    if any(mood.get("angry", 0.0) >= ANGER_AT for mood in moods):
        call_a_person(conversation_id)
    return found.sentiment


def mood_after(before: Mapping[str, float], moods: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What was felt before, fading, and what the new messages add to it."""
    mood = dict(before)
    for one in moods:
        for name, share in one.items():
            felt = share * (_NEUTRAL_WEIGHT if name == "neutral" else 1.0)
            mood[name] = round(mood.get(name, 0.0) * _MEMORY + felt, 4)
    return mood


def topics_after(before: Mapping[str, float], topics: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """How much speaks for each topic; a message that is clearly about one (and no "hello") counts most."""
    found = dict(before)
    for one in topics:
        for name, share in one.items():
            found[name] = round(found.get(name, 0.0) + share * share, 4)
    return dict(sorted(found.items(), key=lambda item: -item[1])[:12])


def topic_of(topics: Mapping[str, float]) -> str:
    total = sum(topics.values())
    best = max(topics, key=lambda name: topics[name], default="")
    return best if total and topics[best] >= TOPIC_AT * total else ""


def call_a_person(conversation_id: UUID) -> None:
    """An angry customer's conversation goes to the people, before others; one that somebody has stays with them."""
    conversation = Conversation.objects.filter(pk=conversation_id).first()
    if conversation is None or conversation.status in (Conversation.Status.HELD, Conversation.Status.RESOLVED):
        return
    try:
        if conversation.status == Conversation.Status.OPEN:
            handoff.ask_for_person(conversation, reason=Conversation.HandoffReason.ANGER)
        if conversation.priority < Conversation.Priority.HIGH:
            labels.set_priority(conversation_id, by_id=None, priority=Conversation.Priority.HIGH)
    except ChatbotError as error:
        log_event("conversations.anger_not_told", conversation=conversation_id, code=error.code)


def _unread(*, everything: bool) -> QuerySet[Conversation]:
    unread = Q(reading__isnull=True) | Q(reading__seq__lt=F("last_customer_seq"))
    rows = Conversation.objects.filter(unread, last_customer_seq__gt=0)
    if not everything:
        rows = rows.filter(updated_at__gte=timezone.now() - WINDOW)
    return rows.order_by("-updated_at")


def _tell(conversation_id: UUID, found: ConversationReading) -> None:
    """Put the outcome where lists and numbers find it."""
    total = sum(found.mood.values()) or 1.0
    score = sum(_SIGNS.get(name, 0.0) * share for name, share in found.mood.items()) / total
    labels.set_analysis(
        conversation_id,
        topic=topic_of(found.topics)[:60],
        sentiment=_WORDS.get(found.sentiment, ""),
        sentiment_score=round(score, 3),
    )
