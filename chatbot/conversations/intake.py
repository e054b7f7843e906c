"""What a customer does: send, stop, try again, ask for a person, leave an address. Repeating is harmless."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from chatbot.conversations import bot_turn, custody, handoff, reply, texts, transcripts
from chatbot.conversations.access import access_conversation, access_reply
from chatbot.conversations.custody import Deed, Status
from chatbot.conversations.models import Conversation, Customer, Generation, Message
from chatbot.errors import Conflict, TooFast
from chatbot.protocol import MessageAccepted

TITLE_CHARS = 80


@dataclass(frozen=True)
class Posted:
    conversation: Conversation
    message: Message
    reply: Message | None


def post_customer_message(
    text: str, *, customer_id: UUID, client_message_id: UUID, conversation_id: UUID | None = None, locale: str = "en"
) -> MessageAccepted:
    """Store a customer's message, its empty reply and the work to write it. Returns the first result when sent again.

    While a person has the conversation there is no reply: the person answers. Writing opens a resolved conversation again.

    Raises InvalidInput for a text without words or too long, Conflict when the id was used for another text, TooFast when
    too many replies are still being written, NotFound for a conversation that is not the customer's.
    """
    cleaned = texts.clean(text)
    with transaction.atomic():
        before = _posted_before(customer_id, client_message_id, cleaned)
        posted = before or _post(
            cleaned, customer_id=customer_id, client_message_id=client_message_id, conversation_id=conversation_id, locale=locale
        )
    view = transcripts.message_view if before else transcripts.new_message_view
    return MessageAccepted(
        client_message_id=client_message_id,
        conversation=transcripts.conversation_view(posted.conversation),
        message=view(posted.message),
        reply=view(posted.reply) if posted.reply else None,
    )


def stop_reply(message_id: UUID, *, customer_id: UUID) -> None:
    """Ask the worker to stop; a reply nobody has begun is ended at once. Stopping what has ended changes nothing."""
    message = access_reply(message_id, customer_id=customer_id)
    with transaction.atomic():
        active = (
            message.generations.select_for_update()
            .filter(status__in=[Generation.Status.PENDING, Generation.Status.RUNNING])
            .first()
        )
        if active is None:
            return
        active.stop_requested_at = Now()
        active.save(update_fields=["stop_requested_at"])
        if active.status == Generation.Status.PENDING:
            reply.end_as_stopped(active)


def retry_reply(message_id: UUID, *, customer_id: UUID) -> None:
    """Write the conversation's last reply again. Asking while it is being written changes nothing."""
    message = access_reply(message_id, customer_id=customer_id)
    with transaction.atomic():
        deed = Deed(custody.lock(message.conversation_id))
        if deed.before.status == Status.HELD:
            raise Conflict("A person answers you now.", code="person_answers")
        latest = deed.conversation.messages.filter(role=Message.Role.ASSISTANT).order_by("-seq").first()
        if latest is None or latest.pk != message.pk:
            raise Conflict("Only the last answer can be written again.", code="not_last_reply")
        if latest.status == Message.Status.PENDING:
            return
        bot_turn.write_again(deed, latest)
        deed.store("reply", **_opened(deed))


def request_person(conversation_id: UUID, *, customer_id: UUID) -> None:
    handoff.ask_for_person(access_conversation(conversation_id, customer_id=customer_id))


def cancel_request(conversation_id: UUID, *, customer_id: UUID) -> None:
    handoff.cancel_request(access_conversation(conversation_id, customer_id=customer_id).pk)


def leave_contact(conversation_id: UUID, *, customer_id: UUID, email: str, message: str = "") -> None:
    """See handoff.leave_contact()."""
    conversation = access_conversation(conversation_id, customer_id=customer_id)
    handoff.leave_contact(conversation.pk, email=email, message=message)


def _posted_before(customer_id: UUID, client_message_id: UUID, text: str) -> Posted | None:
    """The first result of the same command. Holds the customer's row, so that two equal commands come one after the other."""
    Customer.objects.get_or_create(pk=customer_id)
    Customer.objects.select_for_update().get(pk=customer_id)
    message = (
        Message.objects.select_related("conversation", "reply")
        .filter(conversation__customer_id=customer_id, client_message_id=client_message_id)
        .first()
    )
    if message is None:
        return None
    if message.text != text:
        raise Conflict("This message was already sent with other words.", code="message_id_reused")
    return Posted(message.conversation, message, getattr(message, "reply", None))


def _post(text: str, *, customer_id: UUID, client_message_id: UUID, conversation_id: UUID | None, locale: str) -> Posted:
    conversation = _conversation_for(customer_id, conversation_id, locale=locale, title=text)
    held = conversation.status == Status.HELD
    if not held and _replies_in_work(conversation) >= settings.MAX_PENDING_REPLIES:
        raise TooFast("Please wait until your earlier messages are answered.", code="conversation_busy", retry_after_s=5)
    deed = Deed(conversation)
    message = deed.add_message(role=Message.Role.CUSTOMER, text=text, client_message_id=client_message_id)
    answer = None if held else bot_turn.answer_message(deed, message)
    opened = _opened(deed)
    deed.store("status" if opened else "message", **opened)
    return Posted(conversation, message, answer)


def _replies_in_work(conversation: Conversation) -> int:
    return conversation.generations.filter(status__in=[Generation.Status.PENDING, Generation.Status.RUNNING]).count()


def _opened(deed: Deed) -> dict[str, Any]:
    """What makes a resolved conversation the bot's again."""
    return custody.with_bot() if deed.before.status == Status.RESOLVED else {}


def _conversation_for(customer_id: UUID, conversation_id: UUID | None, *, locale: str, title: str) -> Conversation:
    """The conversation, locked."""
    if conversation_id is None:
        return Conversation.objects.create(customer_id=customer_id, locale=locale, title=" ".join(title.split())[:TITLE_CHARS])
    access_conversation(conversation_id, customer_id=customer_id)
    return custody.lock(conversation_id)
