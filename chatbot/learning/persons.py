"""A person's two rights: to see all that is held about him, and to have it erased."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db import transaction

from chatbot.conversations.models import Conversation, Customer, Message
from chatbot.errors import NotFound
from chatbot.learning.forgetting import Forgotten, forget_person, held_of
from chatbot.staffing import audit


def access_customer(some_id: UUID) -> Customer:
    """The customer of this id, or of the conversation of this id: the desk shows both."""
    customer = Customer.objects.filter(pk=some_id).first() or Customer.objects.filter(conversations=some_id).first()
    if customer is None:
        raise NotFound("Nobody is known by this id: give a customer's or a conversation's.", code="customer_not_found")
    return customer


def everything_of(customer: Customer) -> Iterator[dict[str, Any]]:
    """One row a thing that is held of a person, each with its kind; the agents' notes to each other are the company's own."""
    yield {"kind": "customer", "id": str(customer.pk), "locale": customer.locale, "since": customer.created_at.isoformat()}
    for conversation in customer.conversations.order_by("created_at"):
        yield {
            "kind": "conversation",
            "id": str(conversation.pk),
            "started": conversation.created_at.isoformat(),
            "status": conversation.status,
            "language": conversation.language,
            "topic": conversation.topic,
            "sentiment": conversation.sentiment,
            "tags": conversation.tags,
        }
        yield from _said_in(conversation)
    for example in held_of(customer.pk):
        yield {**example, "kind": "training example", "form": example["kind"]}


def _said_in(conversation: Conversation) -> Iterator[dict[str, Any]]:
    for message in conversation.messages.order_by("seq"):
        yield {"kind": "message", "from": message.role, "at": message.created_at.isoformat(), "text": message.text}
    for request in conversation.contact_requests.order_by("pk"):
        yield {"kind": "contact", "email": request.email, "text": request.message, "at": request.created_at.isoformat()}
    for given in conversation.satisfaction.order_by("pk"):
        yield {"kind": "satisfaction", "about": given.about, "score": given.score, "text": given.comment}
    for draft in conversation.agent_drafts.order_by("pk"):
        yield {"kind": "agent's draft", "at": draft.created_at.isoformat(), "draft": draft.draft, "sent": draft.sent}
    for message in Message.objects.filter(conversation=conversation, feedback__isnull=False).distinct().order_by("seq"):
        for feedback in message.feedback.all():
            yield {"kind": "rating", "rating": feedback.rating, "reason": feedback.reason, "text": feedback.comment}


@transaction.atomic
def erase_person(customer: Customer, *, by_id: int | None = None) -> Forgotten:
    """Erase a person with every conversation, rating and training example. Test questions that editors took over stay theirs.

    Returns what learning held: the versions named there have learnt from this person's words (retraining.py makes them anew).
    """
    forgotten = forget_person(customer.pk, by_id=by_id)
    audit.record(by_id, "person.erased", f"customer {customer.pk}", {"conversations": customer.conversations.count()})
    customer.delete()
    return forgotten
