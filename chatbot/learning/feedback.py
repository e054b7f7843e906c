"""Record what customers think of an answer."""

from __future__ import annotations

import functools
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from chatbot.conversations import publishing, transcripts
from chatbot.conversations.access import access_reply
from chatbot.conversations.models import Conversation, Generation
from chatbot.errors import Conflict
from chatbot.learning.models import Feedback
from chatbot.protocol import MessageChanged


def record_feedback(message_id: UUID, *, customer_id: UUID, rating: int, reason: str = "", comment: str = "") -> None:
    """Store the thumb for the answer as it stands now; 0 takes it back. Raises Conflict while it is still being written."""
    message = access_reply(message_id, customer_id=customer_id)
    with transaction.atomic():
        generation = (
            message.generations.filter(status__in=[Generation.Status.DONE, Generation.Status.STOPPED]).order_by("-pk").first()
        )
        if generation is None:
            raise Conflict("This answer is still being written.", code="reply_not_finished")
        if rating == 0:
            Feedback.objects.filter(generation=generation).delete()
        else:
            Feedback.objects.update_or_create(
                generation=generation,
                defaults={"message": message, "rating": rating, "reason": reason, "comment": comment.strip()},
            )
        # Brings it to who counts (insights.facts), also where a thumb was taken back and no row tells of it.
        Conversation.objects.filter(pk=message.conversation_id).update(updated_at=Now())
        transaction.on_commit(functools.partial(_announce, message.conversation_id, message.pk))


def _announce(conversation_id: UUID, message_id: UUID) -> None:
    view = transcripts.view_of(message_id)
    if view is not None:
        publishing.announce(conversation_id, MessageChanged(message=view))
