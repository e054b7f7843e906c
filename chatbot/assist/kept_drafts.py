"""Keep what became of a draft: (context, draft, sent). An edited one shows the model how it should have been written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from chatbot.answering.prompting import Turn
from chatbot.assist.dialogue import as_context, dialogue_of
from chatbot.conversations.models import Message
from chatbot.errors import InvalidInput
from chatbot.learning.review_models import AgentDraft

MAX_DRAFT_CHARS = 8000
# A draft that was not sent by then was not wanted.
LASTS = timedelta(hours=24)
BATCH = 200


def keep(
    conversation_id: UUID, *, agent_id: int, draft: str, sources: Sequence[dict[str, Any]] = (), model_version: str = ""
) -> AgentDraft:
    """An agent has taken a draft into the composer; one they took before and have not sent is forgotten. Raises NotFound."""
    draft = draft.replace("\x00", "").strip()
    if not 0 < len(draft) <= MAX_DRAFT_CHARS:
        raise InvalidInput("This is no draft.", field="draft")
    told = dialogue_of(conversation_id)
    kept = [{name: str(source.get(name, ""))[:500] for name in ("key", "title", "revision")} for source in sources[:10]]
    with transaction.atomic():
        AgentDraft.objects.filter(conversation_id=conversation_id, agent_id=agent_id, sent="").delete()
        return AgentDraft.objects.create(
            conversation_id=conversation_id,
            agent_id=agent_id,
            context=as_context([*told.before, Turn(role="user", text=told.question)]),
            draft=draft,
            sources=kept,
            model_version=model_version[:120],
            after_seq=told.conversation.last_seq,
        )


def settle() -> int:
    """Find what was sent in the place of each draft; returns how many were found. Unsent ones go after a day."""
    AgentDraft.objects.filter(sent="", created_at__lt=timezone.now() - LASTS).delete()
    count = 0
    for draft in AgentDraft.objects.filter(sent="")[:BATCH]:
        message = (
            Message.objects.filter(
                conversation_id=draft.conversation_id, role=Message.Role.AGENT, author_id=draft.agent_id, seq__gt=draft.after_seq
            )
            .exclude(text="")
            .order_by("seq")
            .first()
        )
        if message is not None:
            AgentDraft.objects.filter(pk=draft.pk, sent="").update(sent=message.text, message=message)
            count += 1
    return count
