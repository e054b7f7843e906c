"""The one reader of streams: a socket that does not take its frames holds nobody else up."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatbot import runtime
from support_portal.chat import stream_reader as reading
from support_portal.chat.stream_reader import StreamReader


class Socket:
    """Takes frames while it is `open`; counts how often it was told to begin again."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.numbers: list[int] = []
        self.begun_again = 0

    async def take(self, frame: dict[str, Any]) -> None:
        await self.open.wait()
        self.numbers.append(frame["number"])

    async def begin_again(self) -> None:
        self.begun_again += 1


@pytest.fixture
async def reader() -> AsyncIterator[StreamReader]:
    reader = StreamReader()
    yield reader
    await reader.close()


async def _until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def _write(key: str, *numbers: int) -> None:
    for number in numbers:
        runtime.valkey().xadd(key, {"frame": json.dumps({"number": number})})
    runtime.valkey().expire(key, 60)


async def test_a_socket_that_takes_nothing_holds_nobody_up(reader: StreamReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_WAITING", 5)
    key, stuck, quick, gone = f"test:{uuid.uuid4()}", Socket(), Socket(), Socket()
    quick.open.set()
    followers = [await reader.follow(key, after="0-0", deliver=s.take, restart=s.begin_again) for s in (stuck, quick, gone)]
    _write(key, 1, 2, 3)
    await _until(lambda: quick.numbers == [1, 2, 3])
    assert stuck.numbers == []
    await reader.unfollow(followers[2])
    gone.open.set()
    stuck.open.set()
    await _until(lambda: stuck.numbers == [1, 2, 3])
    stuck.open.clear()
    _write(key, *range(4, 14))  # one is being taken, five wait, and then the present state is cheaper
    await _until(lambda: quick.numbers[-1] == 13)
    stuck.open.set()
    await _until(lambda: stuck.begun_again == 1 and stuck.numbers[-1] == 13)
    assert stuck.numbers == sorted(stuck.numbers) and len(stuck.numbers) < 13
    assert gone.numbers in ([], [1])  # what it was just being given, nothing after it had left
