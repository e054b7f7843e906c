"""The agents' socket: news of the list and of one conversation, and who is there. Changes nothing but presence and read marks."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any
from uuid import UUID

from channels.generic.websocket import AsyncWebsocketConsumer

from chatbot import protocol
from chatbot.conversations import presence, publishing, reading
from chatbot.conversations.access import access_conversation_as_staff
from chatbot.errors import ChatbotError
from chatbot.telemetry import log_crash, log_event
from support_portal.accounts.account_watch import Watch, account_watch
from support_portal.accounts.sessions import still_allowed
from support_portal.chat.commands import Commands, Doors
from support_portal.chat.stream_reader import Follower, stream_reader
from support_portal.chat.threads import in_thread
from support_portal.chat.throttling import Throttle
from support_portal.desk import frames
from support_portal.desk.list_news import list_news
from support_portal.desk.visitors import staff_of_scope

# Well within what presence keeps (presence.open_conversation: 45 s; AGENT_GONE_S).
BEAT_S = 20.0
RIGHT = "read_conversations"
CLOSED_NOT_ALLOWED = 4403
CLOSED_NOT_SIGNED_IN = 4401
_commands = Throttle(per_minute=600, burst=120)


class DeskConsumer(Commands, AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    # See ChatConsumer: streams never go over the channels layer.
    channel_layer_alias = "none"
    client_frames = frames.DESK_CLIENT_FRAMES

    async def connect(self) -> None:
        self.followers: list[Follower] = []
        self.conversation_id: UUID | None = None
        self.list_follower: Follower | None = None
        self.beat: asyncio.Task[None] | None = None
        self.watch: Watch | None = None
        staff = await in_thread(staff_of_scope)(self.scope["headers"], right=RIGHT)
        await self.accept()
        if staff is None:
            log_event("socket.refused", code="not_allowed")
            await self.close(code=CLOSED_NOT_SIGNED_IN)
            return
        self.user_id, self.session_key = staff
        self.listener = list_news().listen(self.user_id, send=self.tell)
        self.watch = account_watch().watch(self.user_id, session_key=self.session_key, right=RIGHT, ended=self._shut)
        self.beat = asyncio.create_task(self._beat_forever())

    async def disconnect(self, code: int) -> None:
        if self.watch is not None:
            account_watch().unwatch(self.watch)
            list_news().leave(self.listener)
        if self.beat is not None:
            self.beat.cancel()
        await self._unfollow_list()
        await self._leave()

    def throttle(self, command: protocol.Frame) -> None:
        _commands.spend(str(self.user_id))

    def doors(self) -> Doors:
        return {
            frames.WatchList: self._watch_list,
            frames.WatchConversation: self._watch_conversation,
            frames.LeaveConversation: self._leave_command,
            frames.AgentTypes: self._typing,
            frames.HaveRead: self._read,
            protocol.Ping: self.pong,
        }

    # ---- the list

    async def _watch_list(self, command: frames.WatchList) -> None:
        self.listener.choose(command.address)
        await self._unfollow_list()
        after = command.after
        if not await _has_all_since(after, key=publishing.DESK_KEY):
            # Position first, then the news that there is something to load: what changes in between comes as well.
            after = await stream_reader().tail(publishing.DESK_KEY)
            await self.tell(frames.ListStale())
        self.list_follower = await stream_reader().follow(
            publishing.DESK_KEY, after=after or "0-0", deliver=self._desk_news, restart=self._list_restart
        )

    async def _desk_news(self, frame: dict[str, Any]) -> None:
        list_news().add(self.listener, UUID(frame["conversation_id"]), what=frame["what"], stream_id=frame["stream_id"])

    async def _list_restart(self) -> None:
        await self.tell(frames.ListStale())

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
        await in_thread(access_conversation_as_staff)(conversation_id)
        self.conversation_id = conversation_id
        await self._follow(publishing.stream_key(conversation_id), after=command.after)
        await self._follow(publishing.staff_key(conversation_id), after=command.staff_after)
        await in_thread(presence.open_conversation)(conversation_id, agent_id=self.user_id)

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
            await self.tell(frames.ConversationStale(conversation_id=self.conversation_id))

    async def _leave_command(self, command: frames.LeaveConversation) -> None:
        await self._leave()

    async def _leave(self) -> None:
        await self._unfollow()
        left, self.conversation_id = self.conversation_id, None
        if left is not None:
            with contextlib.suppress(ChatbotError):
                await in_thread(presence.leave_conversation)(left, agent_id=self.user_id)

    async def _unfollow(self) -> None:
        followers, self.followers = self.followers, []
        for follower in followers:
            await stream_reader().unfollow(follower)

    async def _typing(self, command: frames.AgentTypes) -> None:
        if self.conversation_id is not None:
            await self._require("take_conversations")
            await in_thread(presence.agent_typing)(self.conversation_id, agent_id=self.user_id)

    async def _read(self, command: frames.HaveRead) -> None:
        if self.conversation_id is not None:
            await in_thread(reading.mark_read)(self.conversation_id, agent_id=self.user_id, seq=command.seq)

    # ---- inside

    async def _beat_forever(self) -> None:
        """Say again and again that this agent is here, and where."""
        while True:
            try:
                await in_thread(presence.seen)(self.user_id)
                if self.conversation_id is not None:
                    await in_thread(presence.open_conversation)(self.conversation_id, agent_id=self.user_id)
            except Exception as error:  # The database is away for a moment; the next beat comes.
                log_crash("desk beat", error)
            await asyncio.sleep(BEAT_S)

    async def _require(self, right: str) -> None:
        if not await in_thread(still_allowed)(self.user_id, self.session_key, right):
            raise ChatbotError("Your account may not do this.", code="not_allowed")

    async def _shut(self) -> None:
        await self.close(code=CLOSED_NOT_ALLOWED)


async def _has_all_since(after: str | None, *, key: str) -> bool:
    """Whether a stream still has everything after this id. From its very beginning there is nothing that it could have lost."""
    return after == "0-0" or (after is not None and await stream_reader().replayable(key, after=after))
