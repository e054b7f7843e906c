"""A customer ends the conversation. Writing opens it again; until then it can be rated."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from chatbot.conversations import bot_turn, custody
from chatbot.conversations.access import access_conversation
from chatbot.conversations.custody import Deed, Kind, Status


def end_conversation(conversation_id: UUID, *, customer_id: UUID) -> None:
    """Resolve it as the customer's own act: he waits for nobody any more. Ending what has ended changes nothing."""
    access_conversation(conversation_id, customer_id=customer_id)
    with transaction.atomic():
        locked = custody.lock(conversation_id)
        if locked.status == Status.RESOLVED:
            return
        deed = Deed(locked)
        bot_turn.silence(deed)
        deed.remember(Kind.RESOLVED)
        deed.store("status", **custody.resolved(now=deed.now, by=None))
