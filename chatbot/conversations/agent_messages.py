"""What a person answers. Only who has the conversation speaks in it, checked under its lock at the moment of sending."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from chatbot.conversations import custody, presence, texts, transcripts
from chatbot.conversations.custody import Deed
from chatbot.conversations.models import Message
from chatbot.errors import Conflict
from chatbot.protocol import MessageView


def post_agent_message(text: str, *, conversation_id: UUID, agent_id: int, client_message_id: UUID) -> MessageView:
    """Store an agent's message, which is Markdown. Returns the first result when sent again.

    Raises InvalidInput for a text without words or too long, Conflict (not_yours) when the agent does not have the
    conversation, Conflict (message_id_reused) when the id was used for another text.
    """
    cleaned = texts.clean(text)
    with transaction.atomic():
        agent = custody.agent_of(agent_id)
        deed = Deed(custody.lock(conversation_id), by=agent)
        before = Message.objects.filter(conversation_id=conversation_id, client_message_id=client_message_id).first()
        if before is not None:
            if before.author_id != agent_id or before.text != cleaned:
                raise Conflict("This message was already sent with other words.", code="message_id_reused")
            return transcripts.new_message_view(before)
        if deed.before.assigned_to_id != agent_id:
            raise Conflict("You do not have this conversation now. Take it first; nothing was sent.", code="not_yours")
        message = deed.add_message(
            role=Message.Role.AGENT,
            text=cleaned,
            author_id=agent_id,
            author_name=transcripts.name_of(agent),
            client_message_id=client_message_id,
        )
        deed.store("message")
    presence.seen(agent_id)
    return transcripts.new_message_view(message)
