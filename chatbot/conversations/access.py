"""The only way to a conversation or a message. A stranger gets NotFound, as if it did not exist."""

from __future__ import annotations

from uuid import UUID

from chatbot.conversations.models import Citation, Conversation, Message
from chatbot.errors import NotFound

_NO_CONVERSATION = "This conversation does not exist or is not yours."
_NO_MESSAGE = "This message does not exist or is not yours."


def access_conversation(conversation_id: UUID, *, customer_id: UUID) -> Conversation:
    conversation = Conversation.objects.filter(pk=conversation_id, customer_id=customer_id).first()
    if conversation is None:
        raise NotFound(_NO_CONVERSATION, code="conversation_not_found")
    return conversation


def access_reply(message_id: UUID, *, customer_id: UUID) -> Message:
    """A reply of the assistant in one of the customer's own conversations."""
    message = (
        Message.objects.select_related("conversation")
        .filter(pk=message_id, conversation__customer_id=customer_id, role=Message.Role.ASSISTANT)
        .first()
    )
    if message is None:
        raise NotFound(_NO_MESSAGE, code="message_not_found")
    return message


def access_conversation_as_staff(conversation_id: UUID) -> Conversation:
    """Any conversation; the caller has checked the right `read_conversations`."""
    conversation = Conversation.objects.select_related("customer").filter(pk=conversation_id).first()
    if conversation is None:
        raise NotFound("This conversation does not exist.", code="conversation_not_found")
    return conversation


def is_cited(key: str) -> bool:
    """Whether any reply rests on this source: only then may customers open it."""
    return Citation.objects.filter(key=key).exists()
