"""Read one conversation for the people who work here: its transcript with how each answer came about, notes, and who had it.

Callers have checked the right `read_conversations`. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Prefetch, QuerySet

from chatbot import protocol
from chatbot.conversations.access import access_conversation_as_staff
from chatbot.conversations.models import Conversation, ConversationEvent, Generation, Message
from chatbot.conversations.staff_frames import NoteView
from chatbot.conversations.transcripts import message_view
from chatbot.errors import NotFound

PAGE_MESSAGES = 100
EARLIER_CONVERSATIONS = 5
HISTORY_EVENTS = 20


@dataclass(frozen=True)
class ReviewedMessage:
    """A message as its customer sees it, and every attempt at writing it, newest first: the first is the one shown."""

    view: protocol.MessageView
    created_at: datetime
    attempts: list[Generation]

    @property
    def html(self) -> str:
        """The view's HTML; its marks point to this message's own sources, for a page that shows many messages."""
        return self.view.html.replace('href="#cite-', f'href="#m{self.view.seq}-cite-')


@dataclass(frozen=True)
class ReviewedConversation:
    conversation: Conversation
    messages: list[ReviewedMessage]
    has_earlier: bool

    @property
    def views(self) -> list[protocol.MessageView]:
        return [message.view for message in self.messages]


def review(conversation_id: UUID, *, before_seq: int | None = None) -> ReviewedConversation:
    """The newest PAGE_MESSAGES messages (before a seq), oldest first, with citations and every attempt. Raises NotFound."""
    conversation = access_conversation_as_staff(conversation_id)
    messages = Message.objects.filter(conversation=conversation)
    if before_seq is not None:
        messages = messages.filter(seq__lt=before_seq)
    newest_first = list(_with_attempts(messages.order_by("-seq"))[: PAGE_MESSAGES + 1])
    return ReviewedConversation(
        conversation=conversation,
        messages=[_reviewed(message) for message in reversed(newest_first[:PAGE_MESSAGES])],
        has_earlier=len(newest_first) > PAGE_MESSAGES,
    )


def review_message(message_id: UUID) -> ReviewedMessage:
    """One message with every attempt at it. Raises NotFound."""
    message = _with_attempts(Message.objects.filter(pk=message_id)).first()
    if message is None:
        raise NotFound("This message does not exist.", code="message_not_found")
    return _reviewed(message)


def in_order(messages: Iterable[ReviewedMessage], notes: Iterable[NoteView]) -> Iterator[ReviewedMessage | NoteView]:
    """Messages with the notes between them, each after the message it was written at; notes before the first are left out."""
    waiting = sorted(notes, key=lambda note: (note.seq_after, note.id))
    shown = list(messages)
    first_seq = shown[0].view.seq if shown else 0
    waiting = [note for note in waiting if note.seq_after >= first_seq]
    for number, message in enumerate(shown):
        yield message
        following = shown[number + 1].view.seq if number + 1 < len(shown) else None
        while waiting and (following is None or waiting[0].seq_after < following):
            yield waiting.pop(0)
    yield from waiting


def earlier_conversations(customer_id: UUID, *, besides: UUID) -> list[Conversation]:
    """The customer's other conversations, newest first: one more than are shown tells that there are more."""
    others = Conversation.objects.filter(customer_id=customer_id).exclude(pk=besides)
    return list(others.order_by("-updated_at")[: EARLIER_CONVERSATIONS + 1])


def history_of(conversation_id: UUID) -> list[ConversationEvent]:
    """Who had it and why it changed hands, newest first."""
    events = ConversationEvent.objects.filter(conversation=conversation_id).select_related("actor", "to_agent", "team")
    return list(events.order_by("-pk")[:HISTORY_EVENTS])


def _with_attempts(messages: QuerySet[Message]) -> QuerySet[Message]:
    attempts = Generation.objects.select_related("feedback").order_by("-pk")
    return messages.prefetch_related("citations", Prefetch("generations", attempts))


def _reviewed(message: Message) -> ReviewedMessage:
    return ReviewedMessage(view=message_view(message), created_at=message.created_at, attempts=list(message.generations.all()))
