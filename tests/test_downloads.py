"""Files that are sent while they are made."""

from __future__ import annotations

from collections.abc import Iterator

from support_portal.downloads import unblocking


async def test_the_server_sends_it_piece_by_piece() -> None:
    made: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(3):
            made.append(number)
            yield bytes([number])

    sent = unblocking(pieces())
    assert await anext(sent) == b"\x00" and made == [0]
    assert [piece async for piece in sent] == [b"\x01", b"\x02"]
