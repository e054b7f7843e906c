"""Ask for a person. The assistant keeps answering until one is there; the customer is told both."""

from __future__ import annotations

import functools
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import override

from chatbot import runtime
from chatbot.conversations import publishing, transcripts
from chatbot.conversations.models import Conversation, Message
from chatbot.protocol import ConversationChanged, MessageChanged


def ask_for_person(conversation: Conversation) -> None:
    """Put the conversation into the agents' queue and say so in it. Asking twice changes nothing."""
    with transaction.atomic():
        locked = Conversation.objects.select_for_update().get(pk=conversation.pk)
        if locked.status == Conversation.Status.WAITING:
            return
        locked.status = Conversation.Status.WAITING
        locked.last_seq += 1
        locked.save(update_fields=["status", "last_seq", "updated_at"])
        notice = Message.objects.create(
            conversation=locked, seq=locked.last_seq, role=Message.Role.SYSTEM, text=_notice(locked.locale)
        )
        transaction.on_commit(functools.partial(_announce, locked.pk, notice.pk))


def _notice(locale: str) -> str:
    company = runtime.company()
    with override(locale):
        text = _("Our team has been told and will read this conversation. Meanwhile the assistant keeps answering.")
        ways = [way for way in (company.phone, company.email) if way]
        return f"{text} {_('You can also reach us at')} {' · '.join(ways)}." if ways else text


def _announce(conversation_id: UUID, notice_id: UUID) -> None:
    conversation = Conversation.objects.get(pk=conversation_id)
    notice = transcripts.view_of(notice_id)
    if notice is not None:
        publishing.announce(conversation.pk, MessageChanged(message=notice))
    publishing.announce(conversation.pk, ConversationChanged(conversation=transcripts.conversation_view(conversation)))
