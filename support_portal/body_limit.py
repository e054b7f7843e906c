"""Refuse a request whose body is too large before it fills the disk. Django would first write all of it to a temporary file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_HEADERS = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]


class BodyTooLarge(Exception):
    """More came than was announced or allowed."""


def limit_body(application: Application, *, max_bytes: int) -> Application:
    """Answer 413 where Content-Length says too much, and as soon as too much has come where it says nothing or lies."""

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        announced = dict(scope["headers"]).get(b"content-length", b"")
        if announced.isdigit() and int(announced) > max_bytes:
            await _refuse(send, max_bytes=max_bytes)
            return
        received, begun = 0, False

        async def counted() -> Mapping[str, Any]:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > max_bytes:
                raise BodyTooLarge
            return message

        async def noted(message: Mapping[str, Any]) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await application(scope, counted, noted)
        except BodyTooLarge:
            if not begun:
                await _refuse(send, max_bytes=max_bytes)

    return limited


async def _refuse(send: Send, *, max_bytes: int) -> None:
    text = f"This is larger than {max_bytes // 2**20} MB, the most that is taken. Nothing was stored."
    await send({"type": "http.response.start", "status": 413, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": text.encode()})
