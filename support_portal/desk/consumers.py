"""The agents' socket: news of the list and of one conversation, and who is there. Changes nothing but presence and read marks."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from pydantic import ValidationError

from chatbot import protocol
from chatbot.conversations import presence, publishing, reading
from chatbot.conversations.access import access_conversation_as_staff
from chatbot.errors import ChatbotError, InvalidInput
from chatbot.telemetry import log_crash, log_event
from support_portal.accounts.account_watch import Watch, account_watch
from support_portal.accounts.sessions import still_allowed
from support_portal.chat.stream_reader import Follower, stream_reader
from support_portal.chat.throttling import Throttle
from support_portal.desk import frames
from support_portal.desk.list_news import ListNews, list_rows
from support_portal.desk.visitors import staff_of_scope

MAX_BAD_FRAMES = 20
# Well within what presence keeps (presence.open_conversation: 45 s; AGENT_GONE_S).
BEAT_S = 20.0
RIGHT = "read_conversations"
CLOSED_NOT_ALLOWED = 4403
CLOSED_NOT_SIGNED_IN = 4401
_commands = Throttle(per_minute=600, burst=120)


class DeskConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    # See ChatConsumer: streams never go over the channels layer.
    channel_layer_alias = "none"

    async def connect(self) -> None:
        self.followers: list[Follower] = []
        self.conversation_id: UUID | None = None
        self.list_follower: Follower | None = None
        self.beat: asyncio.Task[None] | None = None
        self.watch: Watch | None = None
        self.bad_frames = 0
        staff = await database_sync_to_async(staff_of_scope)(self.scope["headers"], right=RIGHT)
        await self.accept()
        if staff is None:
            log_event("socket.refused", code="not_allowed")
            await self.close(code=CLOSED_NOT_SIGNED_IN)
            return
        self.user_id, self.session_key = staff
        self.news = ListNews(self.user_id, send=self._send, read=database_sync_to_async(list_rows))
        self.watch = account_watch().watch(self.user_id, session_key=self.session_key, right=RIGHT, ended=self._shut)
        self.beat = asyncio.create_task(self._beat_forever())

    async def disconnect(self, code: int) -> None:
        if self.watch is not None:
            account_watch().unwatch(self.watch)
            self.news.close()
        if self.beat is not None:
            self.beat.cancel()
        await self._unfollow_list()
        await self._leave()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        command: Any = None
        try:
            command = _parse(text_data)
            _commands.spend(str(self.user_id))
            await self._obey(command)
        except ChatbotError as error:
            await self._refuse(error, command)
        except Exception as error:
            # The text of an unexpected error may hold anything; neither the browser nor the log gets it.
            log_crash("desk command", error)
            await self._refuse(ChatbotError("Something went wrong on our side. Please try again."), command)

    async def _obey(self, command: Any) -> None:
        doors: dict[type[protocol.Frame], Callable[[Any], Awaitable[None]]] = {
            frames.WatchList: self._watch_list,
            frames.WatchConversation: self._watch_conversation,
            frames.LeaveConversation: self._leave_command,
            frames.AgentTypes: self._typing,
            frames.HaveRead: self._read,
            protocol.Ping: self._pong,
        }
        await doors[type(command)](command)

    # ---- the list

    async def _watch_list(self, command: frames.WatchList) -> None:
        self.news.choose(command.address)
        await self._unfollow_list()
        after = command.after
        if not await _has_all_since(after, key=publishing.DESK_KEY):
            # Position first, then the news that there is something to load: what changes in between comes as well.
            after = await stream_reader().tail(publishing.DESK_KEY)
            await self._send(frames.ListStale())
        self.list_follower = await stream_reader().follow(
            publishing.DESK_KEY, after=after or "0-0", deliver=self._desk_news, restart=self._list_restart
        )

    async def _desk_news(self, frame: dict[str, Any]) -> None:
        self.news.add(UUID(frame["conversation_id"]), stream_id=frame["stream_id"])

    async def _list_restart(self) -> None:
        await self._send(frames.ListStale())

    async def _unfollow_list(self) -> None:
        follower, self.list_follower = self.list_follower, None
        if follower is not None:
            await stream_reader().unfollow(follower)

    # ---- one conversation

    async def _watch_conversation(self, command: frames.WatchConversation) -> None:
        if self.conversation_id != command.conversation_id:
            await self._leave()
        else:
            await self._unfollow()
        conversation_id = command.conversation_id
        await database_sync_to_async(access_conversation_as_staff)(conversation_id)
        self.conversation_id = conversation_id
        await self._follow(publishing.stream_key(conversation_id), after=command.after)
        await self._follow(publishing.staff_key(conversation_id), after=command.staff_after)
        await database_sync_to_async(presence.open_conversation)(conversation_id, agent_id=self.user_id)

    async def _follow(self, key: str, *, after: str | None) -> None:
        """Follow from there on. A page that has nothing yet starts with all the stream has: frames are whole states."""
        if after is not None and not await _has_all_since(after, key=key):
            after = await stream_reader().tail(key)
            await self._conversation_restart()
        self.followers.append(
            await stream_reader().follow(key, after=after or "0-0", deliver=self._pass_on, restart=self._conversation_restart)
        )

    async def _pass_on(self, frame: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(frame))

    async def _conversation_restart(self) -> None:
        if self.conversation_id is not None:
            await self._send(frames.ConversationStale(conversation_id=self.conversation_id))

    async def _leave_command(self, command: frames.LeaveConversation) -> None:
        await self._leave()

    async def _leave(self) -> None:
        await self._unfollow()
        left, self.conversation_id = self.conversation_id, None
        if left is not None:
            with contextlib.suppress(ChatbotError):
                await database_sync_to_async(presence.leave_conversation)(left, agent_id=self.user_id)

    async def _unfollow(self) -> None:
        followers, self.followers = self.followers, []
        for follower in followers:
            await stream_reader().unfollow(follower)

    async def _typing(self, command: frames.AgentTypes) -> None:
        if self.conversation_id is not None:
            await self._require("take_conversations")
            await database_sync_to_async(presence.agent_typing)(self.conversation_id, agent_id=self.user_id)

    async def _read(self, command: frames.HaveRead) -> None:
        if self.conversation_id is not None:
            await database_sync_to_async(reading.mark_read)(self.conversation_id, agent_id=self.user_id, seq=command.seq)

    # ---- inside

    async def _beat_forever(self) -> None:
        """Say again and again that this agent is here, and where."""
        while True:
            try:
                await database_sync_to_async(presence.seen)(self.user_id)
                if self.conversation_id is not None:
                    await database_sync_to_async(presence.open_conversation)(self.conversation_id, agent_id=self.user_id)
            except Exception as error:  # The database is away for a moment; the next beat comes.
                log_crash("desk beat", error)
            await asyncio.sleep(BEAT_S)

    async def _require(self, right: str) -> None:
        if not await database_sync_to_async(still_allowed)(self.user_id, self.session_key, right):
            raise ChatbotError("Your account may not do this.", code="not_allowed")

    async def _shut(self) -> None:
        await self.close(code=CLOSED_NOT_ALLOWED)

    async def _pong(self, command: protocol.Ping) -> None:
        await self._send(protocol.Pong())

    async def _send(self, frame: protocol.Frame) -> None:
        await self.send(text_data=frame.model_dump_json())

    async def _refuse(self, error: ChatbotError, command: Any) -> None:
        await self._send(
            protocol.Error(code=error.code, message=error.message, field=error.field, retry_after_s=error.retry_after_s)
        )
        if command is None:
            self.bad_frames += 1
            if self.bad_frames >= MAX_BAD_FRAMES:
                await self.close(code=4400)


async def _has_all_since(after: str | None, *, key: str) -> bool:
    """Whether a stream still has everything after this id. From its very beginning there is nothing that it could have lost."""
    return after == "0-0" or (after is not None and await stream_reader().replayable(key, after=after))


def _parse(text_data: str | None) -> Any:
    """The frame behind the text. Raises InvalidInput; the error names the field, never what stood in it."""
    if text_data is None:
        raise InvalidInput("Binary frames are not understood.", code="frame_invalid")
    if len(text_data) > protocol.MAX_FRAME_BYTES:
        raise InvalidInput("This is too long to send.", code="frame_too_big")
    try:
        return frames.DESK_CLIENT_FRAMES.validate_json(text_data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        field = str(first["loc"][-1]) if first["loc"] else ""
        raise InvalidInput("This frame is not understood.", code="frame_invalid", field=field) from None
