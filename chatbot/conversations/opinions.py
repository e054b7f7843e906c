"""Of whom a customer may be asked what he thinks, when a conversation has ended, and what he has said of them."""

from __future__ import annotations

from chatbot import protocol
from chatbot.conversations.models import Conversation, Message

_ABOUT = {"bot": Message.Role.ASSISTANT, "person": Message.Role.AGENT}


def opinions(conversation: Conversation) -> list[protocol.SatisfactionView]:
    """One for the bot and one for the person, of those who said something. No query before the conversation has ended.

    Asked once: who would rather not tell is not asked again.
    """
    if conversation.status != Conversation.Status.RESOLVED:
        return []
    spoke = set(
        conversation.messages.filter(role__in=_ABOUT.values())
        .exclude(text="")
        .order_by()
        .values_list("role", flat=True)
        .distinct()
    )
    given = {row.about: row for row in conversation.satisfaction.all()}
    return [
        protocol.SatisfactionView(about=about, score=row.score or 0 if row else 0, comment=row.comment if row else "")  # type: ignore[arg-type]
        for about, role in _ABOUT.items()
        if role in spoke and not ((row := given.get(about)) and row.score is None)
    ]
