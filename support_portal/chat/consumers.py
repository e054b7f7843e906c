"""The customer's socket: parse a frame, throttle, make one call into the brain, send the answer. Knows no models.

Frames of the followed conversation come from the stream reader; what this consumer sends by itself is the direct answer to a
command.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import override

from chatbot import protocol
from chatbot.conversations import intake, presence
from chatbot.conversations.access import access_conversation
from chatbot.conversations.ending import end_conversation
from chatbot.conversations.publishing import stream_key
from chatbot.conversations.transcripts import conversation_view, page_before
from chatbot.errors import ChatbotError
from chatbot.learning.feedback import record_feedback
from chatbot.learning.satisfaction import record_satisfaction
from chatbot.telemetry import log_event
from support_portal.chat.commands import Commands, Doors
from support_portal.chat.languages import locale_of_headers
from support_portal.chat.stream_reader import Follower, stream_reader
from support_portal.chat.threads import in_thread
from support_portal.chat.throttling import Throttle
from support_portal.chat.visitors import visitor_of_scope

_messages = Throttle(per_minute=settings.MESSAGES_PER_MINUTE, burst=8)
_commands = Throttle(per_minute=settings.MESSAGES_PER_MINUTE * 10, burst=60)
# A flood can throw its cookies away, hardly its address; an office of many customers behind one address must still get through.
_addresses = Throttle(per_minute=settings.MESSAGES_PER_MINUTE * 40, burst=300)


class ChatConsumer(Commands, AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    # Token streams never go over the channels layer; not having one also saves a poller a socket.
    channel_layer_alias = "none"
    client_frames = protocol.CLIENT_FRAMES

    async def connect(self) -> None:
        visitor = visitor_of_scope(self.scope["headers"])
        if visitor is None:
            log_event("socket.refused", code="no_visitor")
            await self.accept()
            await self.close(code=4401)
            return
        self.visitor = visitor
        self.locale = locale_of_headers(self.scope["headers"])
        self.follower: Follower | None = None
        self.following: UUID | None = None
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self._unfollow()

    def throttle(self, command: protocol.Frame) -> None:
        (_messages if isinstance(command, protocol.SendMessage) else _commands).spend(str(self.visitor))
        _addresses.spend(str((self.scope.get("client") or [""])[0]))

    def doors(self) -> Doors:
        return {
            protocol.OpenConversation: self._open,
            protocol.SendMessage: self._post,
            protocol.StopReply: self._stop,
            protocol.RetryReply: self._retry,
            protocol.GiveFeedback: self._rate,
            protocol.RequestPerson: self._ask_for_person,
            protocol.CancelRequest: self._cancel_request,
            protocol.LeaveContact: self._leave_contact,
            protocol.EndConversation: self._end,
            protocol.GiveSatisfaction: self._give_satisfaction,
            protocol.Typing: self._type,
            protocol.LoadEarlier: self._load_earlier,
            protocol.Ping: self.pong,
        }

    async def _open(self, command: protocol.OpenConversation) -> None:
        await self._unfollow()
        if command.conversation_id is not None:
            await self._show(command.conversation_id, after=command.after)

    async def _show(self, conversation_id: UUID, *, after: str | None = None) -> None:
        """Send what the browser has not seen, then follow. The stream's position is read first, so nothing falls between."""
        reader = stream_reader()
        await in_thread(access_conversation)(conversation_id, customer_id=self.visitor)
        if after is None or not await reader.replayable(stream_key(conversation_id), after=after):
            after = await self._send_snapshot(conversation_id)
        await self._follow(conversation_id, after=after)

    async def _send_snapshot(self, conversation_id: UUID) -> str:
        position = await stream_reader().tail(stream_key(conversation_id))
        snapshot = await in_thread(_snapshot)(conversation_id, customer_id=self.visitor)
        await self.tell(snapshot.model_copy(update={"stream_id": position}))
        pending = any(message.status == "pending" for message in snapshot.messages)
        # A reply in work has shown text that only the stream holds; frames are whole states, so reading it again is harmless.
        return "0-0" if pending else position

    async def _follow(self, conversation_id: UUID, *, after: str) -> None:
        async def restart() -> None:
            await self._send_snapshot(conversation_id)

        self.following = conversation_id
        self.follower = await stream_reader().follow(
            stream_key(conversation_id), after=after, deliver=self._pass_on, restart=restart
        )

    async def _unfollow(self) -> None:
        follower, self.follower, self.following = getattr(self, "follower", None), None, None
        if follower is not None:
            await stream_reader().unfollow(follower)

    async def _pass_on(self, frame: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(frame))

    async def _post(self, command: protocol.SendMessage) -> None:
        accepted = await in_thread(intake.post_customer_message)(
            command.text,
            customer_id=self.visitor,
            client_message_id=command.client_message_id,
            conversation_id=command.conversation_id,
            locale=self.locale,
        )
        await self.tell(accepted)
        if self.following != accepted.conversation.id:
            await self._unfollow()
            await self._follow(accepted.conversation.id, after="0-0")

    async def _stop(self, command: protocol.StopReply) -> None:
        await in_thread(intake.stop_reply)(command.message_id, customer_id=self.visitor)

    async def _retry(self, command: protocol.RetryReply) -> None:
        await in_thread(intake.retry_reply)(command.message_id, customer_id=self.visitor)

    async def _rate(self, command: protocol.GiveFeedback) -> None:
        await in_thread(record_feedback)(
            command.message_id, customer_id=self.visitor, rating=command.rating, reason=command.reason, comment=command.comment
        )

    async def _ask_for_person(self, command: protocol.RequestPerson) -> None:
        await in_thread(intake.request_person)(command.conversation_id, customer_id=self.visitor)

    async def _cancel_request(self, command: protocol.CancelRequest) -> None:
        await in_thread(intake.cancel_request)(command.conversation_id, customer_id=self.visitor)

    async def _leave_contact(self, command: protocol.LeaveContact) -> None:
        await in_thread(intake.leave_contact)(
            command.conversation_id, customer_id=self.visitor, email=command.email, message=command.message
        )

    async def _end(self, command: protocol.EndConversation) -> None:
        await in_thread(end_conversation)(command.conversation_id, customer_id=self.visitor)

    async def _give_satisfaction(self, command: protocol.GiveSatisfaction) -> None:
        await in_thread(record_satisfaction)(
            command.conversation_id, customer_id=self.visitor, about=command.about, score=command.score, comment=command.comment
        )

    async def _type(self, command: protocol.Typing) -> None:
        """Only in the conversation this socket follows: access was checked when it was opened."""
        if self.following is not None:
            await sync_to_async(presence.customer_typing)(self.following)

    async def _load_earlier(self, command: protocol.LoadEarlier) -> None:
        earlier = await in_thread(_earlier)(command.conversation_id, customer_id=self.visitor, before_seq=command.before_seq)
        await self.tell(earlier)

    def error_frame(self, error: ChatbotError, command: protocol.Frame | None) -> protocol.Error:
        """In the customer's language, and naming what it answers."""
        with override(self.locale):
            answers = {name: getattr(command, name, None) for name in ("client_message_id", "message_id")}
            return super().error_frame(error, command).model_copy(update={"message": _(error.message), **answers})


def _snapshot(conversation_id: UUID, *, customer_id: UUID) -> protocol.Snapshot:
    conversation = access_conversation(conversation_id, customer_id=customer_id)
    messages, has_earlier = page_before(conversation)
    return protocol.Snapshot(conversation=conversation_view(conversation), messages=messages, has_earlier=has_earlier)


def _earlier(conversation_id: UUID, *, customer_id: UUID, before_seq: int) -> protocol.EarlierMessages:
    conversation = access_conversation(conversation_id, customer_id=customer_id)
    messages, has_earlier = page_before(conversation, before_seq=before_seq)
    return protocol.EarlierMessages(conversation_id=conversation.id, messages=messages, has_earlier=has_earlier)
