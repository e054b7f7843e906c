"""Read conversations for the people who work here: lists to choose from, and transcripts with how each answer came about.

Callers have checked the right `read_conversations`. Writes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Left

from chatbot import protocol
from chatbot.conversations.access import access_conversation_as_staff
from chatbot.conversations.models import Conversation, Generation, Message
from chatbot.conversations.transcripts import message_view
from chatbot.errors import InvalidInput

PAGE_CONVERSATIONS = 40
PAGE_MESSAGES = 100
SNIPPET_CHARS = 160
MAX_QUERY_CHARS = 200

_LINK = re.compile(r"\[([^\]\n]+)\]\([^)\s]*\)?")
_MARKS = re.compile(r"\*\*|`| ?\[\d{1,2}\]|^\s*(?:[-*#>]+ )", re.M)


@dataclass(frozen=True)
class Position:
    """Where a page of the list ends: the last row's (updated_at, id). Written into links, so it is read with suspicion."""

    updated_at: datetime
    id: UUID

    def __str__(self) -> str:
        return f"{self.updated_at.isoformat()}~{self.id}"

    @classmethod
    def parse(cls, text: str) -> Position:
        moment, _, row_id = text.partition("~")
        try:
            position = cls(datetime.fromisoformat(moment), UUID(row_id))
        except ValueError as error:
            raise InvalidInput("This link to a page of the list is broken.", field="before") from error
        if position.updated_at.tzinfo is None:
            raise InvalidInput("This link to a page of the list is broken.", field="before")
        return position


@dataclass(frozen=True)
class ConversationRow:
    """A conversation as a list shows it. title: its first question; last_role: who wrote last_text; thumbs over all attempts."""

    id: UUID
    status: str
    locale: str
    title: str
    last_text: str
    last_role: str
    helpful: int
    unhelpful: int
    updated_at: datetime


@dataclass(frozen=True)
class ConversationPage:
    rows: list[ConversationRow]
    next: Position | None


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


def page_of_conversations(*, status: str = "", query: str = "", before: Position | None = None) -> ConversationPage:
    """One page, the newest change first. status: one of Conversation.Status, or all; query: words of any message, or an id."""
    rows = _matching(status=status, query=query)
    if before is not None:
        # Row comparison, written so that PostgreSQL walks the index instead of sorting.
        rows = rows.filter(updated_at__lte=before.updated_at).exclude(updated_at=before.updated_at, pk__gte=before.id)
    found = _with_marks(rows.order_by("-updated_at", "-id"))[: PAGE_CONVERSATIONS + 1]
    shown = [_row(values) for values in found]
    page, more = shown[:PAGE_CONVERSATIONS], len(shown) > PAGE_CONVERSATIONS
    return ConversationPage(rows=page, next=Position(page[-1].updated_at, page[-1].id) if more else None)


def waiting_count() -> int:
    """How many conversations wait for a person."""
    return Conversation.objects.filter(status=Conversation.Status.WAITING).count()


def review(conversation_id: UUID, *, before_seq: int | None = None) -> ReviewedConversation:
    """The newest PAGE_MESSAGES messages (before a seq), oldest first, with citations and every attempt. Raises NotFound."""
    conversation = access_conversation_as_staff(conversation_id)
    messages = Message.objects.filter(conversation=conversation)
    if before_seq is not None:
        messages = messages.filter(seq__lt=before_seq)
    attempts = Generation.objects.select_related("feedback").order_by("-pk")
    newest_first = list(
        messages.order_by("-seq").prefetch_related("citations", Prefetch("generations", attempts))[: PAGE_MESSAGES + 1]
    )
    return ReviewedConversation(
        conversation=conversation,
        messages=[_reviewed(message) for message in reversed(newest_first[:PAGE_MESSAGES])],
        has_earlier=len(newest_first) > PAGE_MESSAGES,
    )


def conversations_of_customer(customer_id: UUID, *, besides: UUID) -> int:
    """How many other conversations this customer has had."""
    return Conversation.objects.filter(customer_id=customer_id).exclude(pk=besides).count()


def _reviewed(message: Message) -> ReviewedMessage:
    return ReviewedMessage(view=message_view(message), created_at=message.created_at, attempts=list(message.generations.all()))


def _matching(*, status: str, query: str) -> QuerySet[Conversation]:
    rows = Conversation.objects.all()
    if status:
        if status not in Conversation.Status.values:
            raise InvalidInput("There is no such list of conversations.", field="status")
        rows = rows.filter(status=status)
    # NUL is the one character that PostgreSQL cannot compare with.
    words = query.replace("\x00", "").strip()[:MAX_QUERY_CHARS]
    if not words:
        return rows
    try:
        return rows.filter(pk=UUID(words))
    except ValueError:
        said = Message.objects.filter(conversation=OuterRef("pk"), text__icontains=words)
        return rows.filter(Q(title__icontains=words) | Exists(said))


def _without_marks(text: str) -> str:
    """Markdown's signs and citation marks out of a snippet; it is shown as plain text, so this need not be exact."""
    return _MARKS.sub("", _LINK.sub(r"\1", text))


def _row(values: dict[str, Any]) -> ConversationRow:
    return ConversationRow(
        id=values["id"],
        status=values["status"],
        locale=values["locale"],
        title=values["title"] or values["first_question"] or "",
        last_text=_without_marks(values["last_text"] or ""),
        last_role=values["last_role"] or "",
        helpful=values["helpful"] or 0,
        unhelpful=values["unhelpful"] or 0,
        updated_at=values["updated_at"],
    )


def _with_marks(rows: QuerySet[Conversation]) -> QuerySet[Any, Any]:
    """What a row shows, in the one query that finds the page."""
    said = Message.objects.filter(conversation=OuterRef("pk")).exclude(text="")
    first = said.filter(role=Message.Role.CUSTOMER).order_by("seq")
    last = said.exclude(role=Message.Role.SYSTEM).order_by("-seq")
    thumbs = Generation.objects.filter(conversation=OuterRef("pk")).order_by().values("conversation")
    return rows.annotate(
        first_question=Subquery(first.values(short=Left("text", SNIPPET_CHARS))[:1]),
        last_text=Subquery(last.values(short=Left("text", SNIPPET_CHARS))[:1]),
        last_role=Subquery(last.values("role")[:1]),
        helpful=Subquery(thumbs.filter(feedback__rating=1).values(n=Count("pk"))),
        unhelpful=Subquery(thumbs.filter(feedback__rating=-1).values(n=Count("pk"))),
    ).values("id", "status", "locale", "title", "updated_at", "first_question", "last_text", "last_role", "helpful", "unhelpful")
