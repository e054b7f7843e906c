"""What an agent can do to conversations, by name: one call of a service each, what to say of it, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from chatbot.conversations import contacts, labels, takeover
from chatbot.conversations.access import access_conversation_as_staff
from chatbot.conversations.custody import Change, Custody, custody_of
from chatbot.conversations.models import Conversation
from chatbot.conversations.transcripts import name_of
from chatbot.errors import InvalidInput
from chatbot.staffing.access import access_team
from support_portal.accounts.models import User
from support_portal.desk.filters import agents

Status = Conversation.Status
MAX_BULK = 100


def perform(action: str, conversation_id: UUID, *, by: User, values: Mapping[str, str]) -> Change | None:
    """Do one thing to one conversation. Raises what the service raises, and InvalidInput for an unknown action or value."""
    if action == "take":
        return takeover.take(conversation_id, agent_id=by.pk, instead_of=_number(values.get("instead_of", "")))
    if action == "release":
        return takeover.release(conversation_id, agent_id=by.pk)
    if action == "hand-back":
        return takeover.hand_back(conversation_id, agent_id=by.pk, note=values.get("note", ""))
    if action == "resolve":
        return takeover.resolve(conversation_id, by_id=by.pk)
    if action == "reopen":
        return takeover.reopen(conversation_id, by_id=by.pk)
    if action == "assign":
        return _assign(conversation_id, by=by, to=values.get("value", ""), instead_of=_number(values.get("instead_of", "")))
    if action == "priority":
        return labels.set_priority(conversation_id, by_id=by.pk, priority=_priority(values.get("value", "")))
    if action == "tag":
        return labels.add_tag(conversation_id, by_id=by.pk, tag=values.get("value", ""))
    if action == "untag":
        return labels.remove_tag(conversation_id, by_id=by.pk, tag=values.get("value", ""))
    if action == "contact-done":
        contacts.finish(_number(values.get("value", "")) or 0, by_id=by.pk)
        return None
    raise InvalidInput("There is no such action.", code="action_unknown", field="action")


def said(action: str, change: Change | None) -> str:
    """That it is done, in a sentence."""
    conversation = change.conversation if change else None
    if change and change.after == change.before:
        return "Nothing had to be changed."
    if action == "assign" and conversation:
        if conversation.assigned_to:
            return f"Assigned to {name_of(conversation.assigned_to)}."
        return f"Put into the queue of {conversation.team.name}." if conversation.team else "Put into the common queue."
    if action == "priority" and conversation:
        return f"Priority is {conversation.get_priority_display().lower()} now."
    return {
        "take": "The conversation is yours. The bot is silent.",
        "release": "Back in the queue.",
        "hand-back": "Handed back. The bot answers again.",
        "resolve": "Resolved.",
        "reopen": "Opened again. It is yours.",
        "tag": "Tag added.",
        "untag": "Tag removed.",
        "contact-done": "Marked as written to.",
    }[action]


def undo_of(action: str, change: Change | None) -> dict[str, Any] | None:
    """What restore() needs, as JSON. Nothing for what changed nothing, and for what cannot be taken back."""
    if change is None:
        return None
    before = change.before
    if before == change.after:
        return None
    return {
        "id": str(change.conversation.pk),
        "status": before.status,
        "assigned_to": before.assigned_to_id,
        "team": before.team_id,
        "priority": before.priority,
        "tags": list(before.tags),
    }


def restore(before: Mapping[str, Any], *, by: User) -> None:
    """Bring one conversation back to how it was, by the services' own steps, so that every rule holds on the way back too."""
    conversation_id, custody = _read_undo(before)
    present = access_conversation_as_staff(conversation_id)
    if present.priority != custody.priority:
        labels.set_priority(conversation_id, by_id=by.pk, priority=custody.priority)
    for tag in set(custody.tags) - set(present.tags):
        labels.add_tag(conversation_id, by_id=by.pk, tag=tag)
    for tag in set(present.tags) - set(custody.tags):
        labels.remove_tag(conversation_id, by_id=by.pk, tag=tag)
    now = custody_of(present)
    if (now.status, now.assigned_to_id, now.team_id) != (custody.status, custody.assigned_to_id, custody.team_id):
        _restore_owner(present, custody, by=by)


def _restore_owner(present: Conversation, custody: Custody, *, by: User) -> None:
    if custody.status == Status.RESOLVED:
        takeover.resolve(present.pk, by_id=by.pk)
        return
    holder = present.assigned_to_id
    if present.status == Status.RESOLVED:
        takeover.reopen(present.pk, by_id=by.pk)
        holder = by.pk
    if custody.status == Status.HELD and custody.assigned_to_id is not None:
        takeover.assign(present.pk, by_id=by.pk, to_id=custody.assigned_to_id, instead_of=holder)
    elif custody.status == Status.WAITING:
        takeover.assign(present.pk, by_id=by.pk, team_id=custody.team_id, instead_of=holder)
    else:
        takeover.take(present.pk, agent_id=by.pk, instead_of=holder)
        takeover.hand_back(present.pk, agent_id=by.pk)


def _read_undo(before: Mapping[str, Any]) -> tuple[UUID, Custody]:
    try:
        custody = Custody(
            status=str(before["status"]),
            assigned_to_id=None if before["assigned_to"] is None else int(before["assigned_to"]),
            team_id=None if before["team"] is None else int(before["team"]),
            priority=int(before["priority"]),
            tags=tuple(str(tag) for tag in before["tags"]),
        )
        return UUID(str(before["id"])), custody
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput("This cannot be undone any more.", code="undo_unknown") from error


def _assign(conversation_id: UUID, *, by: User, to: str, instead_of: int | None) -> Change:
    """to: "user:7", "team:3", "me" or "queue". instead_of: the colleague from whom it is taken knowingly."""
    kind, _, number = to.partition(":")
    if to == "queue":
        return takeover.assign(conversation_id, by_id=by.pk, instead_of=instead_of)
    if to == "me" or kind == "user":
        chosen = by.pk if to == "me" else _number(number)
        if chosen not in {user.pk for user in agents()}:
            raise InvalidInput("This person cannot be given conversations.", code="assignee_unknown", field="value")
        return takeover.assign(conversation_id, by_id=by.pk, to_id=chosen, instead_of=instead_of)
    if kind == "team":
        team = access_team(_number(number) or 0)
        return takeover.assign(conversation_id, by_id=by.pk, team_id=team.pk, instead_of=instead_of)
    raise InvalidInput("Choose a person or a team.", code="assignee_unknown", field="value")


def _priority(text: str) -> int:
    number = _number(text)
    if number not in Conversation.Priority.values:
        raise InvalidInput("There is no such priority.", code="priority_unknown", field="value")
    return int(number or 0)


def _number(text: str) -> int | None:
    if not text:
        return None
    try:
        number = int(text)
    except ValueError as error:
        raise InvalidInput("This is not a number.", code="value_invalid", field="value") from error
    return number if -(2**31) <= number < 2**31 else 0
