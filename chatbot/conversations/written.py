"""A conversation as its customer may keep it: who said what and when, to download, print or mail. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from chatbot import runtime
from chatbot.answering.language import direction
from chatbot.conversations.access import access_conversation
from chatbot.conversations.models import Message
from chatbot.conversations.transcripts import html_of


@dataclass(frozen=True)
class WrittenLine:
    """html: of what the company says; a customer's own words stand in `text` alone."""

    who: str
    at: datetime
    when: str
    text: str
    html: str
    dir: str
    sources: list[str]


@dataclass(frozen=True)
class WrittenConversation:
    heading: str
    lines: list[WrittenLine]

    @property
    def text(self) -> str:
        """All of it as plain text; answers as the Markdown they were written in, which reads well as it is."""
        return "\n\n".join([self.heading, *map(_as_text, self.lines)]) + "\n"


def written_conversation(conversation_id: UUID, *, customer_id: UUID, locale: str) -> WrittenConversation:
    """The customer's own conversation, in the words he saw. Two queries. Raises NotFound for anybody else's."""
    conversation = access_conversation(conversation_id, customer_id=customer_id)
    company = runtime.company()
    names = {
        Message.Role.CUSTOMER: _("You"),
        Message.Role.ASSISTANT: company.text("bot_name", locale=locale),
        Message.Role.AGENT: _("%(name)s team") % {"name": company.name},
        Message.Role.SYSTEM: _("Notice"),
    }
    said = conversation.messages.exclude(text="").exclude(status=Message.Status.PENDING).prefetch_related("citations")
    lines = [_line(message, who=message.author_name or names[Message.Role(message.role)]) for message in said.order_by("seq")]
    begun = date_format(timezone.localtime(conversation.created_at), "DATETIME_FORMAT")
    zone = timezone.get_current_timezone_name()
    heading = _("Conversation with %(name)s, begun on %(date)s (%(zone)s)") % {"name": company.name, "date": begun, "zone": zone}
    return WrittenConversation(heading, lines)


def _line(message: Message, *, who: str) -> WrittenLine:
    citations = list(message.citations.all())
    return WrittenLine(
        who=who,
        at=message.created_at,
        when=date_format(timezone.localtime(message.created_at), "SHORT_DATETIME_FORMAT"),
        text=message.text,
        html=html_of(message.text, role=message.role, citation_numbers=[one.number for one in citations]),
        dir=direction(message.text),
        sources=[f"[{one.number}] {one.title}" for one in citations],
    )


def _as_text(line: WrittenLine) -> str:
    return "\n".join([f"{line.who} · {line.when}", line.text, *line.sources])
