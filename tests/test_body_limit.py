from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from support_portal.body_limit import Receive, Scope, Send, limit_body


def _asked(parts: Sequence[bytes], *, announced: int | None = None) -> tuple[list[Mapping[str, Any]], int]:
    """What was answered, and how many parts the application took."""
    sent: list[Mapping[str, Any]] = []
    waiting, taken = list(parts), 0

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal taken
        while (await receive())["more_body"]:
            taken += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Mapping[str, Any]:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(event: Mapping[str, Any]) -> None:
        sent.append(event)

    headers = [] if announced is None else [(b"content-length", str(announced).encode())]
    answering = limit_body(application, max_bytes=2**20)({"type": "http", "headers": headers}, receive, send)
    asyncio.run(answering)
    return sent, taken


def test_what_announces_too_much_is_refused_unread() -> None:
    sent, taken = _asked([b"x"] * 9, announced=500 * 2**20)
    assert (sent[0]["status"], taken) == (413, 0)
    assert b"larger than 1 MB" in sent[1]["body"]


def test_what_announces_nothing_is_cut_off() -> None:
    sent, taken = _asked([b"x" * 2**19] * 40)
    assert (sent[0]["status"], taken) == (413, 2)


def test_what_fits_passes() -> None:
    sent, _ = _asked([b"x" * 2**19] * 2, announced=2**20)
    assert sent[0]["status"] == 200
