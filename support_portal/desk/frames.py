"""The frames of the desk's own socket. What a conversation's streams carry is passed on as it is (protocol.py, staff_frames.py).

The socket only brings news and tells presence; whatever changes something is a form post, so that every change passes the
same checks whether a script sent it or not.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter

from chatbot.protocol import Error, Frame, Ping, Pong, StreamId

MAX_ADDRESS_CHARS = 800
MAX_ROWS_A_FRAME = 60


class WatchList(Frame):
    """Tell of changes in this list. address: the list's own, after the "?"; after: the last stream id seen of the desk."""

    type: Literal["list.watch"] = "list.watch"
    address: Annotated[str, Field(max_length=MAX_ADDRESS_CHARS)]
    after: StreamId | None = None


class WatchConversation(Frame):
    """Follow one conversation, and no other. after, staff_after: the last stream ids seen of its two streams."""

    type: Literal["conversation.watch"] = "conversation.watch"
    conversation_id: Annotated[UUID, Field(strict=False)]
    after: StreamId | None = None
    staff_after: StreamId | None = None


class LeaveConversation(Frame):
    type: Literal["conversation.leave"] = "conversation.leave"


class AgentTypes(Frame):
    """The agent types an answer in the watched conversation; sent again every few seconds while that is so."""

    type: Literal["typing"] = "typing"


class HaveRead(Frame):
    """The agent has seen the watched conversation up to this message."""

    type: Literal["read"] = "read"
    seq: Annotated[int, Field(ge=0, le=2**31 - 1)]


DeskClientFrame = Annotated[
    WatchList | WatchConversation | LeaveConversation | AgentTypes | HaveRead | Ping, Field(discriminator="type")
]


class RowView(Frame):
    """A row of the watched list. matches: whether the list holds it now; place: what the list is ordered by."""

    id: UUID
    version: int
    matches: bool
    place: str
    html: str


class CountsView(Frame):
    waiting: int
    mine: int
    mentions: int
    contact: int


class ListRows(Frame):
    """Rows that have changed, in their present state, and how many call for somebody, where that may be others now."""

    type: Literal["list.rows"] = "list.rows"
    rows: list[RowView]
    counts: CountsView | None = None
    stream_id: str = ""


class ListStale(Frame):
    """The news between what this browser has and now is gone: load the list again."""

    type: Literal["list.stale"] = "list.stale"


class ConversationStale(Frame):
    """The news of the watched conversation is gone: load it again."""

    type: Literal["conversation.stale"] = "conversation.stale"
    conversation_id: UUID


DeskServerFrame = Annotated[ListRows | ListStale | ConversationStale | Error | Pong, Field(discriminator="type")]

DESK_CLIENT_FRAMES: TypeAdapter[DeskClientFrame] = TypeAdapter(DeskClientFrame)
DESK_SERVER_FRAMES: TypeAdapter[DeskServerFrame] = TypeAdapter(DeskServerFrame)
