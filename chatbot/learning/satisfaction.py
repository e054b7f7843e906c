"""Record what customers think of a conversation that has ended: of the bot and of the person, apart."""

from __future__ import annotations

import functools
from typing import Literal
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from chatbot.conversations import publishing, transcripts
from chatbot.conversations.access import access_conversation
from chatbot.conversations.models import Conversation
from chatbot.conversations.opinions import opinions
from chatbot.errors import Conflict
from chatbot.learning.models import Satisfaction
from chatbot.protocol import ConversationChanged


def record_satisfaction(
    conversation_id: UUID, *, customer_id: UUID, about: Literal["bot", "person"], score: int, comment: str = ""
) -> None:
    """Store one to five points, in place of those given before; 0 says that he would rather not tell.

    Raises Conflict while the conversation goes on, and for a person in a conversation that no person wrote in.
    """
    access_conversation(conversation_id, customer_id=customer_id)
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update().get(pk=conversation_id)
        if conversation.status != Conversation.Status.RESOLVED:
            raise Conflict("You can rate this conversation when it has ended.", code="conversation_not_ended")
        given = conversation.satisfaction.filter(about=about)
        if about not in {view.about for view in opinions(conversation)} and not given.exists():
            raise Conflict("There is nobody to rate here.", code="nobody_to_rate")
        if score == 0 and given.filter(score__isnull=False).exists():
            return
        Satisfaction.objects.update_or_create(
            conversation=conversation, about=about, defaults={"score": score or None, "comment": comment.strip()}
        )
        # The version tells the newer of two states; updated_at brings it to who counts (insights.facts).
        Conversation.objects.filter(pk=conversation_id).update(version=F("version") + 1, updated_at=Now())
        transaction.on_commit(functools.partial(_announce, conversation_id))


def _announce(conversation_id: UUID) -> None:
    conversation = Conversation.objects.select_related("assigned_to").get(pk=conversation_id)
    frame = ConversationChanged(conversation=transcripts.conversation_view(conversation))
    publishing.append([(publishing.stream_key(conversation_id), frame)])
