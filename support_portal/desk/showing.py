"""What the conversation pane shows, gathered for its templates and its scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from redis import RedisError

from chatbot import protocol, runtime
from chatbot.assist.summary import summarise
from chatbot.conversations import contacts, notes, presence, publishing, reviewing, waiting_line
from chatbot.conversations.models import Conversation
from chatbot.conversations.reviewing import ReviewedConversation, ReviewedMessage
from chatbot.conversations.staff_frames import NoteView
from chatbot.protocol import MAX_TEXT_CHARS
from support_portal.accounts.models import User
from support_portal.accounts.roles import may
from support_portal.desk.why import explain_all

Status = Conversation.Status
# What the page's script needs of a message that the server has drawn: its place and its age, not its words.
_DRAWN = {"id", "seq", "role", "status", "attempt", "created_at", "client_message_id", "error", "rating"}


def conversation_context(reviewed: ReviewedConversation, *, viewer: User, newest: bool) -> dict[str, Any]:
    """Everything of the pane. newest: whether the last message is among them; else it is a page of history."""
    conversation = reviewed.conversation
    # The streams' positions first: what is written while the page is read comes again, and changes nothing.
    positions = {
        "stream_id": _tail(publishing.stream_key(conversation.pk)),
        "staff_stream_id": _tail(publishing.staff_key(conversation.pk)),
    }
    written = notes.notes_of(conversation.pk)
    until = None if newest or not reviewed.messages else reviewed.messages[-1].view.seq
    earlier = reviewing.earlier_conversations(conversation.customer_id, besides=conversation.pk)
    context = {
        "conversation": conversation,
        "items": shown_items(reviewed.messages, written, until_seq=until),
        "views": reviewed.views,
        "notes": written,
        "has_earlier": reviewed.has_earlier,
        "first_seq": reviewed.messages[0].view.seq if reviewed.messages else 0,
        "summary": summarise(reviewed.views),
        "earlier": earlier[: reviewing.EARLIER_CONVERSATIONS],
        "more_earlier": len(earlier) > reviewing.EARLIER_CONVERSATIONS,
        "events": reviewing.history_of(conversation.pk),
        "contact_requests": contacts.requests_of(conversation),
        "viewers": [person for person in presence.viewers(conversation.pk) if person.id != viewer.pk],
        "may_write": may(viewer, "take_conversations"),
        "holder": holder_of(conversation, viewer=viewer),
        "max_chars": MAX_TEXT_CHARS,
        "viewer_id": viewer.pk,
        **positions,
    }
    return context | {"pane_data": pane_data(context, viewer=viewer)}


def holder_of(conversation: Conversation, *, viewer: User) -> str:
    """Who answers: "me", "other" (a colleague), "bot" (also while somebody waits), "nobody" (resolved)."""
    if conversation.status == Status.HELD:
        return "me" if conversation.assigned_to_id == viewer.pk else "other"
    return "nobody" if conversation.status == Status.RESOLVED else "bot"


def pane_data(context: dict[str, Any], *, viewer: User, bare: bool = False) -> dict[str, Any]:
    """The state the pane's script starts from. bare: without the messages, which it has."""
    conversation: Conversation = context["conversation"]
    held_by = conversation.assigned_to
    data = {
        "conversation_id": str(conversation.pk),
        "version": conversation.version,
        "status": conversation.status,
        "holder": context["holder"],
        "holder_id": conversation.assigned_to_id,
        "holder_name": held_by.display_name if isinstance(held_by, User) else "",
        "last_seq": conversation.last_seq,
        "tags": list(conversation.tags),
        "priority": conversation.priority,
        "viewer": {"id": viewer.pk, "name": viewer.display_name},
        "viewers": [person.model_dump() for person in context["viewers"]],
        "may_write": context["may_write"],
    }
    if bare:
        return data
    return data | {
        "messages": bare_messages(context["views"]),
        "notes": [
            {"id": note.id, "client_note_id": str(note.client_note_id), "seq_after": note.seq_after} for note in context["notes"]
        ],
        "has_earlier": context["has_earlier"],
        "stream_id": context["stream_id"],
        "staff_stream_id": context["staff_stream_id"],
        "max_chars": context["max_chars"],
    }


def bare_messages(views: Iterable[protocol.MessageView]) -> list[dict[str, Any]]:
    """What the script has to know of the messages that shown_items() shows, and of no other."""
    return [view.model_dump(mode="json", include=_DRAWN) for view in views if not _is_empty(view)]


def shown_items(
    messages: Sequence[ReviewedMessage], written: Iterable[NoteView], *, until_seq: int | None = None
) -> list[dict[str, Any]]:
    """Messages and notes in order, as templates show them. until_seq: leave out notes after this message."""
    kept = [note for note in written if until_seq is None or note.seq_after <= until_seq]
    return [
        {"note": item} if isinstance(item, NoteView) else shown(item)
        for item in reviewing.in_order(messages, kept)
        if isinstance(item, NoteView) or not _is_empty(item.view)
    ]


def shown(message: ReviewedMessage) -> dict[str, Any]:
    explained = explain_all(message.attempts)
    pending = message.view.status == "pending"
    ahead = waiting_line.ahead_of(message.attempts[0]) if message.attempts and pending else None
    return {
        "view": message.view,
        "place": None if ahead is None else ahead + 1,
        "html": message.html,
        "created_at": message.created_at,
        "why": explained[0] if explained else None,
        "explained": explained,
    }


def _is_empty(view: protocol.MessageView) -> bool:
    """A reply that a takeover ended before it had a word: the customer never saw it."""
    return view.error == "taken_over" and not view.text


def desk_position() -> str:
    """Where the desk's stream is now. "" while Redis is away: then the list is loaded again when it is back."""
    return _tail(publishing.DESK_KEY)


def _tail(key: str) -> str:
    client: Any = runtime.valkey()  # redis-py types every answer as a union of all protocols' shapes
    try:
        newest = client.xrevrange(key, count=1)
    except RedisError:
        return ""
    return newest[0][0].decode() if newest else "0-0"
