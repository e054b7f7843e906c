"""Conversations with words in them, written down at once."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from chatbot.conversations.models import Citation, Conversation, Customer, Generation, Message
from support_portal.accounts.models import User

ROLES = {"c": "customer", "b": "assistant", "a": "agent"}


def talk(customer: Customer, *lines: str, agent: User | None = None, **fields: Any) -> Conversation:
    """lines: "c: what the customer says", "b: the bot", "a: the agent", in order; each bot line answers the one before."""
    conversation = Conversation.objects.create(customer=customer, **fields)
    for line in lines:
        say(conversation, line, agent=agent)
    return conversation


def say(conversation: Conversation, line: str, *, agent: User | None = None) -> Message:
    who, _, text = line.partition(": ")
    role = ROLES[who]
    last = conversation.messages.order_by("-seq").first()
    named: dict[str, Any] = {"author": agent, "author_name": agent.display_name} if role == "agent" and agent else {}
    answers = {"in_reply_to": last} if role == "assistant" and last and last.role == "customer" else {}
    conversation.last_seq += 1
    message = Message.objects.create(
        conversation=conversation, seq=conversation.last_seq, role=role, text=text, **named, **answers
    )
    if role == "customer":
        conversation.last_customer_seq, conversation.last_customer_at = conversation.last_seq, timezone.now()
    conversation.save()
    return message


def answered(customer: Customer, question: str, answer: str, *, cites: str = "", **fields: Any) -> Generation:
    """A question and the bot's finished answer to it."""
    conversation = talk(customer, f"c: {question}", f"b: {answer}")
    reply = conversation.messages.get(role="assistant")
    if cites:
        Citation.objects.create(message=reply, number=1, key=cites, title=cites, revision=1)
    now = timezone.now()
    wanted = {"status": "done", "started_at": now, "finished_at": now, "text": answer, "decision": "compose"} | fields
    Message.objects.filter(pk=reply.pk).update(decision=wanted["decision"])
    return Generation.objects.create(conversation=conversation, reply=reply, **wanted)
