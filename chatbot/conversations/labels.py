"""Marks that help to find and order conversations: priority, tags, and what a classifier says of them."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from chatbot.conversations import custody, publishing, texts
from chatbot.conversations.custody import Change, Deed, Kind
from chatbot.conversations.models import Conversation
from chatbot.conversations.staff_models import MAX_TAG_CHARS, Tag
from chatbot.errors import InvalidInput

MAX_TAGS = 20


def set_priority(conversation_id: UUID, *, by_id: int | None, priority: int) -> Change:
    """by_id: nobody for the product itself, which raises it for an angry customer."""
    if priority not in Conversation.Priority.values:
        raise InvalidInput("There is no such priority.", code="priority_unknown", field="priority")
    with transaction.atomic():
        deed = Deed(custody.lock(conversation_id), by=None if by_id is None else custody.agent_of(by_id))
        if deed.before.priority == priority:
            return deed.unchanged()
        deed.remember(Kind.PRIORITY, data={"from": deed.before.priority, "to": priority})
        return deed.store("priority", priority=priority)


def add_tag(conversation_id: UUID, *, by_id: int, tag: str) -> Change:
    """Mark a conversation. Raises InvalidInput for an empty or long tag, or one too many. Adding it twice changes nothing."""
    name = clean_tag(tag)
    with transaction.atomic():
        deed = Deed(custody.lock(conversation_id), by=custody.agent_of(by_id))
        if name in deed.before.tags:
            return deed.unchanged()
        if len(deed.before.tags) >= MAX_TAGS:
            raise InvalidInput(f"A conversation can have at most {MAX_TAGS} tags.", code="tags_too_many", field="tag")
        Tag.objects.get_or_create(name=name)
        return _store_tags(deed, [*deed.before.tags, name])


def remove_tag(conversation_id: UUID, *, by_id: int, tag: str) -> Change:
    name = " ".join(texts.composed(tag).split())
    with transaction.atomic():
        deed = Deed(custody.lock(conversation_id), by=custody.agent_of(by_id))
        if name not in deed.before.tags:
            return deed.unchanged()
        return _store_tags(deed, [other for other in deed.before.tags if other != name])


def known_tags(prefix: str = "", *, limit: int = 20) -> list[str]:
    """Tags to choose from."""
    return list(Tag.objects.filter(name__istartswith=prefix.strip()).order_by("name").values_list("name", flat=True)[:limit])


def clean_tag(tag: str) -> str:
    name = " ".join(texts.composed(tag).split())
    if not texts.has_words(name) or len(name) > MAX_TAG_CHARS:
        raise InvalidInput(f"A tag has between 1 and {MAX_TAG_CHARS} characters.", code="tag_invalid", field="tag")
    return name


def set_analysis(
    conversation_id: UUID, *, topic: str | None = None, sentiment: str | None = None, sentiment_score: float | None = None
) -> None:
    """Keep what a classifier says. None leaves a field as it is. Takes no lock: nobody else writes these."""
    wanted = {"topic": topic, "sentiment": sentiment, "sentiment_score": sentiment_score}
    fields = {name: value for name, value in wanted.items() if value is not None}
    if fields.get("sentiment", "") not in Conversation.Sentiment.values:
        raise InvalidInput("There is no such sentiment.", code="sentiment_unknown", field="sentiment")
    if not fields or not Conversation.objects.filter(pk=conversation_id).exclude(**fields).update(**fields):
        return
    if news := custody.touch(conversation_id, "analysis"):
        publishing.append([news])


def _store_tags(deed: Deed, tags: list[str]) -> Change:
    deed.remember(Kind.TAGGED, data={"from": list(deed.before.tags), "to": tags})
    return deed.store("tags", tags=tags)
