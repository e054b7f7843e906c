"""What the lists are told when a browser is slow to take it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence

import pytest

from chatbot import protocol
from support_portal.desk import frames, list_news
from support_portal.desk.list_news import Asked, ListNews


async def test_what_changes_while_a_browser_is_slow_is_told_when_it_has_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for: list[tuple[uuid.UUID, ...]] = []
    sent: list[protocol.Frame] = []
    free = asyncio.Event()

    def lists_of(asked: Sequence[Asked]) -> list[protocol.Frame]:
        asked_for.extend(one.watched.ids for one in asked)
        return [frames.ListStale() for _ in asked]

    async def send(frame: protocol.Frame) -> None:
        sent.append(frame)
        await free.wait()

    monkeypatch.setattr(list_news, "lists_of", lists_of)
    news, first, second = ListNews(), uuid.uuid4(), uuid.uuid4()
    listener = news.listen(7, send=send)
    listener.choose("?queue=all")
    news.add(listener, first, what="message", stream_id="1-0")
    await _until(lambda: len(sent) == 1)
    news.add(listener, second, what="message", stream_id="2-0")
    await asyncio.sleep(2 * list_news.GATHER_S)
    assert len(sent) == 1
    free.set()
    await _until(lambda: len(sent) == 2)
    assert asked_for == [(first,), (second,)]
    news.leave(listener)


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)
