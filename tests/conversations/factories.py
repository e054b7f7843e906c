"""Small makers of conversations, with sensible defaults."""

from __future__ import annotations

import uuid

from chatbot.conversations import intake
from chatbot.conversations.models import Customer, Generation, Message
from chatbot.protocol import MessageAccepted


def post(customer: Customer, text: str = "How long does delivery take?", **where: uuid.UUID | None) -> MessageAccepted:
    return intake.post_customer_message(text, customer_id=customer.pk, **{"client_message_id": uuid.uuid4(), **where})


def generation_of(accepted: MessageAccepted) -> Generation:
    assert accepted.reply is not None
    return Generation.objects.filter(reply_id=accepted.reply.id).latest("pk")


def message(accepted: MessageAccepted) -> Message:
    assert accepted.reply is not None
    return Message.objects.get(pk=accepted.reply.id)
