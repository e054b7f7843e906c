"""What a customer does: send, stop, try again, ask for a person, start over. One transaction each; repeating is harmless."""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from chatbot.characters import strip_invisible
from chatbot.conversations import affinity, handoff, publishing, reply, tasks, transcripts
from chatbot.conversations.access import access_conversation, access_reply
from chatbot.conversations.models import Conversation, Customer, Generation, Message
from chatbot.errors import Conflict, InvalidInput, TooFast
from chatbot.protocol import MAX_TEXT_CHARS, MessageAccepted, MessageChanged, MessageView

TITLE_CHARS = 80


@dataclass(frozen=True)
class Posted:
    conversation: Conversation
    message: Message
    reply: Message


def post_customer_message(
    text: str, *, customer_id: UUID, client_message_id: UUID, conversation_id: UUID | None = None, locale: str = "en"
) -> MessageAccepted:
    """Store a customer's message, its empty reply and the work to write it. Returns the first result when sent again.

    Raises InvalidInput for a text without words or too long, Conflict when the id was used for another text, TooFast when
    too many replies are still being written, NotFound for a conversation that is not the customer's.
    """
    cleaned = clean(text)
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
        reply=view(posted.reply),
    )


def clean(text: str) -> str:
    """Compose to NFC, drop what cannot be seen, trim. Raises InvalidInput when no words are left, or too many."""
    kept = strip_invisible(unicodedata.normalize("NFC", text)).strip()
    if not any(unicodedata.category(c)[0] not in "ZC" for c in kept):
        raise InvalidInput("Write something first.", code="message_empty", field="text")
    if len(kept) > MAX_TEXT_CHARS:
        raise InvalidInput(f"A message can have at most {MAX_TEXT_CHARS} characters.", code="message_too_long", field="text")
    return kept


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
        conversation = Conversation.objects.select_for_update().get(pk=message.conversation_id)
        latest = conversation.messages.filter(role=Message.Role.ASSISTANT).order_by("-seq").first()
        if latest is None or latest.pk != message.pk:
            raise Conflict("Only the last answer can be written again.", code="not_last_reply")
        if latest.status == Message.Status.PENDING:
            return
        before = latest.generations.order_by("-pk").first()
        latest.citations.all().delete()
        Message.objects.filter(pk=latest.pk).update(
            status=Message.Status.PENDING, text="", decision="", choices=[], error="", finished_at=None
        )
        # A higher fence at once: browsers tell this pending state from the finished one before it by the attempt.
        generation = Generation.objects.create(conversation=conversation, reply=latest, fence=before.fence + 1 if before else 0)
        latest.refresh_from_db()
        changed = [transcripts.message_view(latest)]
        transaction.on_commit(functools.partial(_hand_over, generation.pk, conversation.pk, changed))


def request_person(conversation_id: UUID, *, customer_id: UUID) -> None:
    handoff.ask_for_person(access_conversation(conversation_id, customer_id=customer_id))


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
    return Posted(message.conversation, message, message.reply)


def _post(text: str, *, customer_id: UUID, client_message_id: UUID, conversation_id: UUID | None, locale: str) -> Posted:
    conversation = _conversation_for(customer_id, conversation_id, locale=locale, title=text)
    if (
        conversation.generations.filter(status__in=[Generation.Status.PENDING, Generation.Status.RUNNING]).count()
        >= settings.MAX_PENDING_REPLIES
    ):
        raise TooFast("Please wait until your earlier messages are answered.", code="conversation_busy", retry_after_s=5)
    message = Message.objects.create(
        conversation=conversation,
        seq=conversation.last_seq + 1,
        role=Message.Role.CUSTOMER,
        text=text,
        client_message_id=client_message_id,
    )
    answer = Message.objects.create(
        conversation=conversation,
        seq=conversation.last_seq + 2,
        role=Message.Role.ASSISTANT,
        status=Message.Status.PENDING,
        in_reply_to=message,
    )
    generation = Generation.objects.create(conversation=conversation, reply=answer)
    conversation.last_seq += 2
    conversation.save(update_fields=["last_seq", "status", "updated_at"])
    changed = [transcripts.new_message_view(message), transcripts.new_message_view(answer)]
    transaction.on_commit(functools.partial(_hand_over, generation.pk, conversation.pk, changed))
    return Posted(conversation, message, answer)


def _conversation_for(customer_id: UUID, conversation_id: UUID | None, *, locale: str, title: str) -> Conversation:
    """The conversation, locked; a closed one is opened again."""
    if conversation_id is None:
        return Conversation.objects.create(customer_id=customer_id, locale=locale, title=" ".join(title.split())[:TITLE_CHARS])
    access_conversation(conversation_id, customer_id=customer_id)
    conversation = Conversation.objects.select_for_update().get(pk=conversation_id)
    if conversation.status == Conversation.Status.CLOSED:
        conversation.status = Conversation.Status.OPEN
    return conversation


def _hand_over(generation_id: int, conversation_id: UUID, changed: list[MessageView]) -> None:
    """After the commit: give the work to the workers, and the news to the customer's other tabs."""
    tasks.enqueue(generation_id, queue=affinity.preferred_queue(conversation_id))
    for view in changed:
        publishing.announce(conversation_id, MessageChanged(message=view))
