"""How far each agent has read. Unread is what the customer has written after it."""

from __future__ import annotations

from uuid import UUID

from chatbot.conversations.staff_models import ReadMark


def mark_read(conversation_id: UUID, *, agent_id: int, seq: int) -> None:
    """Remember that the agent has seen everything up to this seq. Never moves back."""
    ReadMark.objects.bulk_create([ReadMark(conversation_id=conversation_id, agent_id=agent_id, seq=seq)], ignore_conflicts=True)
    ReadMark.objects.filter(conversation_id=conversation_id, agent_id=agent_id, seq__lt=seq).update(seq=seq)
