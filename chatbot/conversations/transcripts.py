"""Read conversations as their customer may see them, ready to send. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Prefetch, QuerySet
from django.urls import reverse

from chatbot import protocol
from chatbot.answering.language import direction
from chatbot.answering.prompting import Turn
from chatbot.conversations.models import Conversation, Generation, Message
from chatbot.rendering import render_markdown

PAGE_MESSAGES = 50
# What the model may look back on; the pipeline trims further, by tokens.
HISTORY_MESSAGES = 12


@dataclass(frozen=True)
class ConversationSummary:
    id: UUID
    title: str
    status: str
    updated_at: datetime


def conversation_view(conversation: Conversation) -> protocol.ConversationView:
    fields = {
        "id": conversation.id,
        "status": conversation.status,
        "created_at": conversation.created_at.isoformat(),
        "last_seq": conversation.last_seq,
    }
    return protocol.ConversationView.model_validate(fields)


def message_view(message: Message) -> protocol.MessageView:
    """The message as its customer may see it. Expects `citations` and `generations__feedback` prefetched (see with_parts)."""
    citations = [
        protocol.Citation(number=c.number, key=c.key, title=c.title, url=reverse("chat:faq", args=[c.key]))
        for c in message.citations.all()
    ]
    generation = max(message.generations.all(), key=lambda g: g.pk, default=None)
    feedback = getattr(generation, "feedback", None)
    return _view(
        message, citations=citations, attempt=generation.fence if generation else 0, rating=feedback.rating if feedback else 0
    )


def new_message_view(message: Message) -> protocol.MessageView:
    """See message_view(); for a message that was written this moment and has no parts, so no query is needed."""
    return _view(message, citations=[], attempt=0, rating=0)


def _view(message: Message, *, citations: list[protocol.Citation], attempt: int, rating: int) -> protocol.MessageView:
    fields = {
        "id": message.id,
        "seq": message.seq,
        "role": message.role,
        "status": message.status,
        "text": message.text,
        "html": html_of(message.text, role=message.role, citation_numbers=[c.number for c in citations]),
        "dir": direction(message.text),
        "created_at": message.created_at.isoformat(),
        "client_message_id": message.client_message_id,
        "attempt": attempt,
        "decision": message.decision,
        "citations": citations,
        "choices": message.choices,
        "rating": rating,
        "error": message.error,
    }
    return protocol.MessageView.model_validate(fields)


def html_of(text: str, *, role: str, citation_numbers: Sequence[int] = ()) -> str:
    """Rendered Markdown for what the company says; a customer's words are shown as typed, from `text`."""
    return "" if role == Message.Role.CUSTOMER else render_markdown(text, citations=citation_numbers)


def with_parts(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Prefetch what message_view shows: three queries, however many messages."""
    return messages.prefetch_related(
        "citations", Prefetch("generations", Generation.objects.select_related("feedback").defer("trace"))
    )


def view_of(message_id: UUID) -> protocol.MessageView | None:
    """None when the conversation was deleted meanwhile."""
    message = with_parts(Message.objects.filter(pk=message_id)).first()
    return message_view(message) if message else None


def page_before(conversation: Conversation, *, before_seq: int | None = None) -> tuple[list[protocol.MessageView], bool]:
    """The newest PAGE_MESSAGES messages before a seq (or at the end), oldest first, and whether there are earlier ones."""
    messages = Message.objects.filter(conversation=conversation)
    if before_seq is not None:
        messages = messages.filter(seq__lt=before_seq)
    newest_first = list(with_parts(messages.order_by("-seq"))[: PAGE_MESSAGES + 1])
    page = newest_first[:PAGE_MESSAGES][::-1]
    return [message_view(message) for message in page], len(newest_first) > PAGE_MESSAGES


def conversations_of(customer_id: UUID, *, limit: int = 50) -> list[ConversationSummary]:
    rows = Conversation.objects.filter(customer_id=customer_id).order_by("-updated_at")[:limit]
    return [ConversationSummary(c.id, c.title, c.status, c.updated_at) for c in rows]


def turns_before(message: Message) -> tuple[Turn, ...]:
    """What was said before this customer's message, oldest first, without replies that failed."""
    rows = (
        Message.objects.filter(
            conversation_id=message.conversation_id, seq__lt=message.seq, role__in=[Message.Role.CUSTOMER, Message.Role.ASSISTANT]
        )
        .exclude(text="")
        .exclude(status=Message.Status.FAILED)
        .order_by("-seq")[:HISTORY_MESSAGES]
    )
    return tuple(Turn(role="user" if m.role == Message.Role.CUSTOMER else "assistant", text=m.text) for m in reversed(rows))
