"""Every websocket frame of the customer chat, one class each. Knows nothing of Django, sockets or storage.

A frame is a JSON object with a `type`. The browser sends `ClientFrame`s, the server answers with `ServerFrame`s. Frames that
came through the conversation's stream carry `stream_id`; a browser that reconnects names the last one it has. Every server
frame states the whole of what it changes (a progress frame holds the answer so far, not a delta), so applying one twice,
or missing all but the last, does no harm. Of two states of a reply the one with the higher `attempt` is newer; in the same
attempt "pending" is older than any other status, and a higher progress `index` is newer. See docs/protocol.md, which is
generated from this file.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

MAX_TEXT_CHARS = 4000
MAX_COMMENT_CHARS = 1000
MAX_EMAIL_CHARS = 254
# Who types says so again before this is over; who has heard nothing for so long shows nothing.
TYPING_SHOWN_S = 6
MAX_FRAME_BYTES = 64 * 1024
# A Redis stream id, "milliseconds-sequence".
StreamId = Annotated[str, Field(pattern=r"^\d{1,20}-\d{1,20}$")]


class Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Citation(Frame):
    """Where a statement of the reply comes from; `number` is what the text shows as [1]."""

    number: int
    key: str
    title: str
    url: str


class MessageView(Frame):
    """A message as its customer may see it. `html` comes from the one sanitising renderer; `text` is its Markdown source.

    status: "pending" (being written), "complete", "stopped" (by the customer, or with error "taken_over" because a person came;
    what had been shown stays), "failed" (`error` says why; try again works). author: the name of the person who wrote it, of
    role "agent". notice: which sentence a system message is.
    """

    id: UUID
    seq: int
    role: Literal["customer", "assistant", "agent", "system"]
    status: Literal["pending", "complete", "stopped", "failed"]
    text: str
    html: str
    dir: Literal["ltr", "rtl"] = "ltr"
    created_at: str
    client_message_id: UUID | None = None
    attempt: int = 0
    decision: str = ""
    citations: list[Citation] = []
    choices: list[str] = []
    rating: Literal[-1, 0, 1] = 0
    error: str = ""
    author: str = ""
    notice: str = ""


class AgentView(Frame):
    """A person who answers, as customers know them."""

    name: str


class SatisfactionView(Frame):
    """Of whom a customer is asked what he thinks, and what he has said. score: 1 to 5, or 0 before he has."""

    about: Literal["bot", "person"]
    score: Annotated[int, Field(ge=0, le=5)] = 0
    comment: str = ""


class ConversationView(Frame):
    """Who is there. Of two states the one with the higher `version` is newer.

    status: "open" (the bot answers), "waiting" (a person was asked for; the bot answers until one comes), "held" (`agent`
    answers, the bot is silent), "resolved" (writing opens it again). place: in the line of those who wait, 1 is next; none
    outside working hours, then opens_at says when somebody comes. contact: "offered" (an e-mail address can be left), "left".
    satisfaction: of a resolved conversation, whom the customer may rate.
    """

    id: UUID
    status: Literal["open", "waiting", "held", "resolved"]
    created_at: str
    last_seq: int
    version: int = 0
    agent: AgentView | None = None
    place: int | None = None
    opens_at: str = ""
    contact: Literal["", "offered", "left"] = ""
    satisfaction: list[SatisfactionView] = []


# ---- browser -> server


class OpenConversation(Frame):
    """Show a conversation and follow it. Without an id: a new one, created with its first message.

    after: the last stream id this browser has of it; only what came later is sent, where the stream still has it.
    """

    type: Literal["conversation.open"] = "conversation.open"
    conversation_id: Annotated[UUID, Field(strict=False)] | None = None
    after: StreamId | None = None


class SendMessage(Frame):
    """A customer's message. Sending the same client_message_id again returns the first result.

    conversation_id: none for the first message of a new conversation.
    """

    type: Literal["message.send"] = "message.send"
    client_message_id: Annotated[UUID, Field(strict=False)]
    conversation_id: Annotated[UUID, Field(strict=False)] | None = None
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)]


class StopReply(Frame):
    type: Literal["reply.stop"] = "reply.stop"
    message_id: Annotated[UUID, Field(strict=False)]


class RetryReply(Frame):
    """Answer the same question again: after a failure, a stop, or because the answer did not help. Last reply only."""

    type: Literal["reply.retry"] = "reply.retry"
    message_id: Annotated[UUID, Field(strict=False)]


class GiveFeedback(Frame):
    """Thumbs for a reply; 0 takes the rating back. reason: one of the offered ones, or empty."""

    type: Literal["feedback.give"] = "feedback.give"
    message_id: Annotated[UUID, Field(strict=False)]
    rating: Literal[-1, 0, 1]
    reason: Literal["", "incorrect", "incomplete", "outdated", "not_my_question", "other"] = ""
    comment: Annotated[str, Field(max_length=MAX_COMMENT_CHARS)] = ""


class RequestPerson(Frame):
    type: Literal["person.request"] = "person.request"
    conversation_id: Annotated[UUID, Field(strict=False)]


class CancelRequest(Frame):
    """Stay with the bot: take the request for a person back."""

    type: Literal["person.cancel"] = "person.cancel"
    conversation_id: Annotated[UUID, Field(strict=False)]


class LeaveContact(Frame):
    """Where to write to, because nobody was there. Leaving another address replaces the first."""

    type: Literal["contact.leave"] = "contact.leave"
    conversation_id: Annotated[UUID, Field(strict=False)]
    email: Annotated[str, Field(max_length=MAX_EMAIL_CHARS)]
    message: Annotated[str, Field(max_length=MAX_COMMENT_CHARS)] = ""


class EndConversation(Frame):
    """The customer is done; writing opens the conversation again."""

    type: Literal["conversation.end"] = "conversation.end"
    conversation_id: Annotated[UUID, Field(strict=False)]


class GiveSatisfaction(Frame):
    """Points for the bot or the person, when the conversation has ended; again replaces them. score 0: would rather not tell."""

    type: Literal["satisfaction.give"] = "satisfaction.give"
    conversation_id: Annotated[UUID, Field(strict=False)]
    about: Literal["bot", "person"]
    score: Annotated[int, Field(ge=0, le=5)]
    comment: Annotated[str, Field(max_length=MAX_COMMENT_CHARS)] = ""


class Typing(Frame):
    """The customer types in the conversation that this socket follows; sent again every few seconds while that is so."""

    type: Literal["typing"] = "typing"


class LoadEarlier(Frame):
    type: Literal["messages.earlier"] = "messages.earlier"
    conversation_id: Annotated[UUID, Field(strict=False)]
    before_seq: Annotated[int, Field(ge=1)]


class Ping(Frame):
    type: Literal["ping"] = "ping"


ClientFrame = Annotated[
    OpenConversation
    | SendMessage
    | StopReply
    | RetryReply
    | GiveFeedback
    | RequestPerson
    | CancelRequest
    | LeaveContact
    | EndConversation
    | GiveSatisfaction
    | Typing
    | LoadEarlier
    | Ping,
    Field(discriminator="type"),
]

# ---- server -> browser


class Snapshot(Frame):
    """The conversation from the database; replaces all that the browser shows of it."""

    type: Literal["conversation.snapshot"] = "conversation.snapshot"
    conversation: ConversationView
    messages: list[MessageView]
    has_earlier: bool
    stream_id: str = ""


class EarlierMessages(Frame):
    type: Literal["messages.earlier"] = "messages.earlier"
    conversation_id: UUID
    messages: list[MessageView]
    has_earlier: bool


class MessageAccepted(Frame):
    """The message is stored, in its place, for good. Sent to its sender; other tabs get `message.changed`."""

    type: Literal["message.accepted"] = "message.accepted"
    client_message_id: UUID
    conversation: ConversationView
    message: MessageView
    reply: MessageView | None


class MessageChanged(Frame):
    """A message in its present state: new, finished, failed, stopped, started again or rated."""

    type: Literal["message.changed"] = "message.changed"
    message: MessageView
    stream_id: str = ""


class ReplyProgress(Frame):
    """The reply so far. A higher (attempt, index) replaces a lower one; `html` is all of it, not what was added."""

    type: Literal["reply.progress"] = "reply.progress"
    message_id: UUID
    attempt: int
    index: int
    html: str
    dir: Literal["ltr", "rtl"] = "ltr"
    sent_at_ms: int
    stream_id: str = ""


class ReplyWaiting(Frame):
    """The model is busy. position: replies ahead of this one, 0 when it is next or being read."""

    type: Literal["reply.waiting"] = "reply.waiting"
    message_id: UUID
    attempt: int
    position: int
    stream_id: str = ""


class AgentTyping(Frame):
    """A person types. Shown for TYPING_SHOWN_S, or until a message of theirs comes; never stored."""

    type: Literal["agent.typing"] = "agent.typing"
    name: str
    expires_at_ms: int
    stream_id: str = ""


class PersonPlace(Frame):
    """The customer's place in the line of those who wait for a person; 1 is next."""

    type: Literal["person.place"] = "person.place"
    place: int
    stream_id: str = ""


class ConversationChanged(Frame):
    type: Literal["conversation.changed"] = "conversation.changed"
    conversation: ConversationView
    stream_id: str = ""


class Error(Frame):
    """What went wrong, for a person. client_message_id / message_id say which command it answers."""

    type: Literal["error"] = "error"
    code: str
    message: str
    field: str = ""
    retry_after_s: float | None = None
    client_message_id: UUID | None = None
    message_id: UUID | None = None


class Pong(Frame):
    type: Literal["pong"] = "pong"


ServerFrame = Annotated[
    Snapshot
    | EarlierMessages
    | MessageAccepted
    | MessageChanged
    | ReplyProgress
    | ReplyWaiting
    | AgentTyping
    | PersonPlace
    | ConversationChanged
    | Error
    | Pong,
    Field(discriminator="type"),
]

StreamFrame = MessageChanged | ReplyProgress | ReplyWaiting | AgentTyping | PersonPlace | ConversationChanged

CLIENT_FRAMES: TypeAdapter[ClientFrame] = TypeAdapter(ClientFrame)
SERVER_FRAMES: TypeAdapter[ServerFrame] = TypeAdapter(ServerFrame)
