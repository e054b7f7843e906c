"""Customers who want to be written to: the addresses they left. Callers have checked the right."""

from __future__ import annotations

from django.db import transaction

from chatbot.conversations import custody
from chatbot.conversations.custody import Deed
from chatbot.conversations.models import Conversation
from chatbot.conversations.staff_models import ContactRequest
from chatbot.errors import NotFound


def requests_of(conversation: Conversation) -> list[ContactRequest]:
    return list(conversation.contact_requests.select_related("done_by"))


def finish(request_id: int, *, by_id: int) -> None:
    """Somebody has written to the customer. Doing it twice changes nothing. Raises NotFound."""
    found = ContactRequest.objects.filter(pk=request_id).values_list("conversation_id", flat=True).first()
    if found is None:
        raise NotFound("This request does not exist.", code="contact_not_found")
    with transaction.atomic():
        deed = Deed(custody.lock(found), by=custody.agent_of(by_id))
        open_one = ContactRequest.objects.filter(pk=request_id, done_at__isnull=True)
        if open_one.update(done_at=deed.now, done_by_id=by_id):
            deed.store("contact", contact=Conversation.Contact.NONE, contact_left_at=None)
