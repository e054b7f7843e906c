"""What goes over the streams that only the people who work here follow. The customer's own frames are in chatbot/protocol.py.

`desk` carries that something changed, never what: lists ask PostgreSQL for the row. A conversation's staff stream carries what
its customer must not see. Frames with `expires_at_ms` are ephemeral: a reader drops one that has expired, so that a replay
never shows somebody typing who has long stopped.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from chatbot.protocol import Frame

What = Literal["message", "reply", "status", "owner", "team", "priority", "tags", "note", "contact", "analysis"]


class Person(Frame):
    id: int
    name: str


class NoteView(Frame):
    """A note as colleagues see it; `html` comes from the one sanitising renderer. seq_after: its place among the messages."""

    id: int
    conversation_id: UUID
    seq_after: int
    author: Person | None
    author_name: str
    text: str
    html: str
    mentions: list[Person] = []
    client_note_id: UUID
    created_at: str


class ConversationTouched(Frame):
    """A row of the desk's lists has changed."""

    type: Literal["conversation.touched"] = "conversation.touched"
    conversation_id: UUID
    version: int
    what: What
    stream_id: str = ""


class NoteAdded(Frame):
    type: Literal["note.added"] = "note.added"
    note: NoteView
    stream_id: str = ""


class OwnerChanged(Frame):
    """Somebody else has it now, or what may be done with it is other: the page asks for what stands around the messages."""

    type: Literal["owner.changed"] = "owner.changed"
    conversation_id: UUID
    version: int
    stream_id: str = ""


class PresenceChanged(Frame):
    """Who looks at the conversation now: the whole list."""

    type: Literal["presence.changed"] = "presence.changed"
    viewers: list[Person]
    expires_at_ms: int
    stream_id: str = ""


class CustomerTyping(Frame):
    type: Literal["customer.typing"] = "customer.typing"
    expires_at_ms: int
    stream_id: str = ""


class ColleagueTyping(Frame):
    type: Literal["colleague.typing"] = "colleague.typing"
    agent: Person
    expires_at_ms: int
    stream_id: str = ""


StaffFrame = ConversationTouched | NoteAdded | OwnerChanged | PresenceChanged | CustomerTyping | ColleagueTyping
