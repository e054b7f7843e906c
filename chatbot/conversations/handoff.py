"""Ask for a person, and what becomes of it. The assistant keeps answering until one is there; the customer is told both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from chatbot.conversations import custody, notices, texts
from chatbot.conversations.custody import Deed, Kind, Status
from chatbot.conversations.models import Conversation, Generation, Message
from chatbot.conversations.staff_models import ContactRequest
from chatbot.errors import Conflict, InvalidInput
from chatbot.protocol import MAX_COMMENT_CHARS
from chatbot.staffing import hours
from chatbot.staffing.access import default_team
from chatbot.staffing.models import Team

Reason = Conversation.HandoffReason
Contact = Conversation.Contact


@dataclass(frozen=True)
class QueuePlace:
    """What a team's queue means for a conversation now. notice: what the customer is told besides, "" while the team is there.

    fields: for the row. A team that never opens has no queue: the bot keeps the conversation and an address can be left.
    """

    team: Team
    fields: dict[str, Any]
    notice: str = ""
    when: str = ""

    def tell(self, deed: Deed) -> None:
        if self.notice:
            deed.say(self.notice, **({"when": self.when} if self.when else {}))


def ask_for_person(conversation: Conversation, *, reason: str = "") -> None:
    """Put the conversation into the agents' queue and say so in it. Asking twice, or while a person is there, changes nothing.

    reason: one of Conversation.HandoffReason; without one, what the last answer was is taken for it.
    """
    with transaction.atomic():
        locked = custody.lock(conversation.pk)
        if locked.status in (Status.WAITING, Status.HELD):
            return
        deed = Deed(locked)
        place = queue_place(locked, locked.team or default_team(), now=deed.now)
        reason = reason or _reason_now(locked)
        if not place.notice:
            deed.say("person_asked")
        place.tell(deed)
        deed.remember(Kind.ASKED, reason=reason, team=place.team)
        if locked.status == Status.RESOLVED and "status" not in place.fields:
            place.fields.update(custody.with_bot())
        deed.store("status", **place.fields, handoff_reason=reason)


def queue_place(conversation: Conversation, team: Team, *, now: datetime) -> QueuePlace:
    """Where a conversation goes that shall wait for this team."""
    contact = {} if conversation.contact == Contact.LEFT else {"contact": Contact.OFFERED}
    promise = timedelta(seconds=settings.HANDOFF_PROMISE_S)
    opens_at = hours.next_opening(team, now)
    if opens_at is None:
        return QueuePlace(team, {"team": team, **contact}, notice="nobody_there")
    if opens_at <= now:
        return QueuePlace(team, {"team": team} | custody.waiting(since=now, promised_until=now + promise, opens_at=None))
    fields = {"team": team, **contact} | custody.waiting(since=now, promised_until=opens_at + promise, opens_at=opens_at)
    when = notices.opening(team, opens_at, locale=conversation.locale)
    return QueuePlace(team, fields, notice="outside_hours", when=when)


def cancel_request(conversation_id: UUID) -> None:
    """The customer stays with the bot. Changes nothing unless he waits."""
    with transaction.atomic():
        locked = custody.lock(conversation_id)
        if locked.status != Status.WAITING:
            return
        deed = Deed(locked)
        deed.say("person_cancelled")
        deed.remember(Kind.CANCELLED)
        deed.store("status", **custody.with_bot(), contact=_no_form(locked))


def leave_contact(conversation_id: UUID, *, email: str, message: str = "") -> None:
    """Keep where the customer wants to be written to. Raises InvalidInput; Conflict where no address was asked for."""
    email, message = texts.email_address(email), texts.composed(message)
    if len(message) > MAX_COMMENT_CHARS:
        raise InvalidInput("This message is too long.", code="message_too_long", field="message")
    with transaction.atomic():
        locked = custody.lock(conversation_id)
        if locked.contact == Contact.NONE:
            raise Conflict("No e-mail address is needed here.", code="contact_not_offered")
        wanted = {"email": email, "message": message}
        _, created = ContactRequest.objects.update_or_create(conversation=locked, done_at=None, defaults=wanted)
        deed = Deed(locked)
        deed.say("contact_left", email=email)
        if created:
            deed.remember(Kind.CONTACT_LEFT)
        deed.store("contact", contact=Contact.LEFT, contact_left_at=deed.now)


def _no_form(conversation: Conversation) -> str:
    return Contact.LEFT if conversation.contact == Contact.LEFT else Contact.NONE


def _reason_now(conversation: Conversation) -> str:
    """Why a customer presses the button: what the last answer was."""
    last = conversation.messages.filter(role=Message.Role.ASSISTANT).order_by("-seq").first()
    if last is None:
        return Reason.ASKED
    if last.status == Message.Status.FAILED:
        return Reason.ERROR
    if last.decision == "clarify":
        return Reason.LOW_CONFIDENCE
    if last.decision != "handoff":
        return Reason.ASKED
    trace = Generation.objects.filter(reply=last).order_by("-pk").values_list("trace", flat=True).first() or {}
    declined = {"model_declined": Reason.UNSUPPORTED, "unknown": Reason.NOTHING_KNOWN}
    return declined.get(str(trace.get("reason", "")), Reason.ASKED)
