"""Read conversations as their customer may see them, ready to send. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser, AbstractUser
from django.db.models import Prefetch, Q, QuerySet
from django.urls import reverse

from chatbot import protocol
from chatbot.answering.language import direction
from chatbot.answering.prompting import Turn
from chatbot.conversations.models import Conversation, Generation, Message
from chatbot.conversations.opinions import opinions
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
    """Who is there, as the customer may know it. No query unless a person was asked for or is there."""
    agent = conversation.assigned_to
    fields = {
        "id": conversation.id,
        "status": conversation.status,
        "created_at": conversation.created_at.isoformat(),
        "last_seq": conversation.last_seq,
        "version": conversation.version,
        "agent": protocol.AgentView(name=name_of(agent)) if agent else None,
        "place": place_of(conversation),
        "opens_at": conversation.opens_at.isoformat() if conversation.opens_at else "",
        "contact": conversation.contact,
        "satisfaction": opinions(conversation),
    }
    return protocol.ConversationView.model_validate(fields)


def name_of(agent: AbstractBaseUser) -> str:
    """What customers and colleagues call an agent."""
    full_name = agent.get_full_name() if isinstance(agent, AbstractUser) else ""
    return full_name or agent.get_username()


def place_of(conversation: Conversation) -> int | None:
    """1 for the customer who is next in the team's line; None for who does not wait, or waits for the morning."""
    if conversation.status != Conversation.Status.WAITING or conversation.opens_at:
        return None
    earlier = Q(priority=conversation.priority, waiting_since__lt=conversation.waiting_since)
    ahead = Conversation.objects.filter(
        Q(priority__gt=conversation.priority) | earlier, status=Conversation.Status.WAITING, team=conversation.team_id
    )
    return ahead.count() + 1


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
        "author": message.author_name,
        "notice": message.notice,
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
    """What was said before this customer's message, oldest first, without failed replies. A person's answers count as ours."""
    rows = (
        Message.objects.filter(conversation_id=message.conversation_id, seq__lt=message.seq)
        .exclude(role=Message.Role.SYSTEM)
        .exclude(text="")
        .exclude(status=Message.Status.FAILED)
        .order_by("-seq")[:HISTORY_MESSAGES]
    )
    return tuple(Turn(role="user" if m.role == Message.Role.CUSTOMER else "assistant", text=m.text) for m in reversed(rows))
