"""How far each agent has read. Unread is what the customer has written after it."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q

from chatbot.conversations.staff_models import ReadMark


def mark_read(conversation_id: UUID, *, agent_id: int, seq: int) -> None:
    """Remember that the agent has seen everything up to this seq. Never moves back."""
    ReadMark.objects.bulk_create([ReadMark(conversation_id=conversation_id, agent_id=agent_id, seq=seq)], ignore_conflicts=True)
    ReadMark.objects.filter(Q(seq__lt=seq), conversation_id=conversation_id, agent_id=agent_id).update(seq=seq)


def read_up_to(conversation_ids: list[UUID], *, agent_id: int) -> dict[UUID, int]:
    """The marks of one agent, for a page of a list."""
    marks = ReadMark.objects.filter(agent_id=agent_id, conversation_id__in=conversation_ids)
    return dict(marks.values_list("conversation_id", "seq"))
