"""A customer's browser without the pixels: sends, reconnects, resends, and keeps what it was shown, as static/js/chat does.

Independent of the product's own code but for the frames' names, so that it can judge the product.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.cookiejar
import json
import time
import urllib.request
import uuid
from dataclasses import dataclass, field
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection, connect

TERMINAL = {"complete", "stopped", "failed"}


def visitor_cookie(url: str) -> str:
    """Visit the chat page as a new browser; returns its Cookie header."""
    jar = http.cookiejar.CookieJar()
    urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar)).open(f"{url}/chat/", timeout=30).read()
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)


@dataclass
class Customer:
    """`messages` by id, newest state each; `outbox` holds what was sent and not acknowledged."""

    url: str
    cookie: str
    conversation_id: str = ""
    position: str | None = None
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    outbox: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    # When each kind of thing was seen last, by the monotonic clock; progress frames with their attempt and index.
    progress: list[tuple[str, int, int, float, int]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _socket: ClientConnection | None = None
    _life: asyncio.Task[None] | None = None

    async def start(self) -> Customer:
        self._life = asyncio.create_task(self._live())
        return self

    async def close(self) -> None:
        if self._life:
            self._life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._life

    async def reload(self) -> None:
        """Throw away everything but the address and the unsent, as a page reload does."""
        await self.close()
        self.position, self.messages = None, {}
        await self.start()

    async def ask(self, text: str) -> str:
        """Send a message; returns its client id at once."""
        client_id = str(uuid.uuid4())
        self.outbox[client_id] = text
        if self._socket is not None:  # else it goes out with the next connection
            with contextlib.suppress(websockets.WebSocketException):
                await self._send_message(client_id)
        return client_id

    def reply_to(self, client_id: str) -> dict[str, Any] | None:
        """The reply message after the one with this client id, in its newest state."""
        asked = next((m for m in self.messages.values() if m["client_message_id"] == client_id), None)
        return asked and next((m for m in self.messages.values() if m["seq"] == asked["seq"] + 1), None)

    async def until(self, condition: Any, *, timeout_s: float) -> None:
        """Wait for a condition on what was seen. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            self.changed.clear()
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.changed.wait(), min(left_s, 0.5))

    async def until_answered(self, client_id: str, *, timeout_s: float) -> dict[str, Any]:
        await self.until(lambda: (self.reply_to(client_id) or {}).get("status") in TERMINAL, timeout_s=timeout_s)
        reply = self.reply_to(client_id)
        assert reply is not None
        return reply

    async def _live(self) -> None:
        while True:
            with contextlib.suppress(OSError, websockets.WebSocketException, TimeoutError):
                await self._connected()
            self._socket = None
            await asyncio.sleep(0.2)

    async def _connected(self) -> None:
        address = self.url.replace("http", "ws", 1) + "/ws/chat/"
        headers = {"Cookie": self.cookie}
        async with connect(address, origin=self.url, additional_headers=headers, open_timeout=5, max_size=None) as socket:
            self._socket = socket
            if self.conversation_id:
                await self._send(type="conversation.open", conversation_id=self.conversation_id, after=self.position)
            for client_id in list(self.outbox):
                await self._send_message(client_id)
            async for raw in socket:
                self._take(json.loads(raw))

    async def _send_message(self, client_id: str) -> None:
        where = {"conversation_id": self.conversation_id} if self.conversation_id else {}
        await self._send(type="message.send", client_message_id=client_id, text=self.outbox[client_id], **where)

    async def _send(self, **frame: Any) -> None:
        assert self._socket is not None
        await self._socket.send(json.dumps(frame))

    def _take(self, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        self.position = frame.get("stream_id") or self.position
        if kind == "conversation.snapshot":
            self.messages = {m["id"]: m for m in frame["messages"]}
        elif kind == "message.accepted":
            self.conversation_id = frame["conversation"]["id"]
            self.outbox.pop(frame["client_message_id"], None)
            for message in filter(None, (frame["message"], frame["reply"])):  # nobody replies at once while a person has it
                self.messages.setdefault(message["id"], message)
        elif kind == "message.changed":
            self._take_message(frame["message"])
        elif kind == "reply.progress":
            self.progress.append((frame["message_id"], frame["attempt"], frame["index"], time.monotonic(), frame["sent_at_ms"]))
        elif kind == "error":
            self.errors.append(frame["code"])
        self.changed.set()

    def _take_message(self, message: dict[str, Any]) -> None:
        """A frame read again from the stream may be older than what the snapshot held."""
        known = self.messages.get(message["id"])
        older = known and (
            message["attempt"] < known["attempt"] or (known["status"] in TERMINAL and message["status"] == "pending")
        )
        if not older:
            self.messages[message["id"]] = message
