"""Turn "this conversation has changed" into rows of the lists that browsers show: read once for all agents of this process.

What changes meanwhile is gathered, so that a busy house costs a few reads a second, however many agents look on; reading never
takes more than half of the time, and has a thread of its own: customers' messages do not wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.template.loader import render_to_string

from chatbot import protocol
from chatbot.conversations import inbox
from chatbot.conversations.inbox import Filters, Row, Watched
from chatbot.telemetry import log_crash
from support_portal.chat.threads import in_list_thread
from support_portal.desk import filters as addresses
from support_portal.desk import frames

# The first change is told at once; then so often at most.
GATHER_S = 0.12
FIRST_S = 0.02
# What else may change the counts (a mention that was read, another process) is told with the next news after so long.
COUNTED_EVERY_S = 1.0
# Kinds of news after which the counts may be others.
_COUNTED = frozenset({"status", "owner", "team", "contact", "note"})


@dataclass(eq=False)
class Listener:
    """One socket's list, and what has changed since it was told last. It hears nothing before a list is chosen."""

    viewer_id: int
    send: Callable[[protocol.Frame], Awaitable[None]]
    filters: Filters | None = None
    changed: dict[UUID, None] = field(default_factory=dict)
    stream_id: str = ""
    counted_at: float = -math.inf
    sending: asyncio.Task[None] | None = None

    def choose(self, address: str) -> None:
        """Tell of this list from now on. Raises InvalidInput for an address that is none of ours."""
        self.filters = addresses.parse_query(address.removeprefix("?"))

    @property
    def waits(self) -> bool:
        return bool(self.changed) and self.filters is not None

    @property
    def is_told(self) -> bool:
        """Just now: a browser that is slow to take the last news gathers the next ones."""
        return self.sending is not None and not self.sending.done()


@dataclass(frozen=True)
class Asked:
    """What one listener is to be told. stream_id: up to where this is all."""

    watched: Watched
    with_counts: bool
    stream_id: str


class ListNews:
    """The listeners of one event loop; its task lives while there is something to tell."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None

    def listen(self, viewer_id: int, *, send: Callable[[protocol.Frame], Awaitable[None]]) -> Listener:
        listener = Listener(viewer_id, send)
        self._listeners.append(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.remove(listener)
        if listener.sending is not None:
            listener.sending.cancel()

    def add(self, listener: Listener, conversation_id: UUID, *, what: str, stream_id: str) -> None:
        listener.changed[conversation_id] = None
        listener.stream_id = stream_id
        if what in _COUNTED:
            listener.counted_at = -math.inf
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._tell_all())

    async def _tell_all(self) -> None:
        await asyncio.sleep(FIRST_S)
        while any(one.waits for one in self._listeners):
            began = time.monotonic()
            if due := [one for one in self._listeners if one.waits and not one.is_told]:
                await self._tell(due)
            await asyncio.sleep(max(GATHER_S, time.monotonic() - began))

    async def _tell(self, due: Sequence[Listener]) -> None:
        asked = [_asked_by(listener) for listener in due]
        told: Sequence[protocol.Frame]
        try:
            told = await in_list_thread(lists_of)(asked)
        except Exception as error:  # The database is away: only loading the list again brings what was missed.
            log_crash("desk list", error)
            told = [frames.ListStale() for _ in due]
        for listener, frame in zip(due, told, strict=True):
            listener.sending = asyncio.create_task(self._send(listener, frame))

    async def _send(self, listener: Listener, frame: protocol.Frame) -> None:
        with contextlib.suppress(Exception):  # A socket that fails while being written to is its own consumer's business.
            await listener.send(frame)


def _asked_by(listener: Listener) -> Asked:
    """What is due, taken from what waits."""
    assert listener.filters is not None
    ids = tuple(listener.changed)[: frames.MAX_ROWS_A_FRAME]
    for conversation_id in ids:
        del listener.changed[conversation_id]
    with_counts = time.monotonic() - listener.counted_at >= COUNTED_EVERY_S
    if with_counts:
        listener.counted_at = time.monotonic()
    # What is still to come must not be taken as seen when the socket breaks here.
    stream_id = "" if listener.changed else listener.stream_id
    return Asked(Watched(listener.filters, listener.viewer_id, ids), with_counts, stream_id)


def lists_of(asked: Sequence[Asked]) -> list[frames.ListRows]:
    """The present state of these conversations, as each list shows them. A row that looks the same to many is drawn once."""
    drawn: dict[tuple[object, ...], str] = {}
    counted = counts_views([one.watched.viewer_id for one in asked if one.with_counts])
    return [
        frames.ListRows(
            rows=[_row_view(row, watched=one.watched, drawn=drawn) for row in rows],
            counts=counted[one.watched.viewer_id] if one.with_counts else None,
            stream_id=one.stream_id,
        )
        for one, rows in zip(asked, inbox.touched([one.watched for one in asked]), strict=True)
    ]


def _row_view(row: Row, *, watched: Watched, drawn: dict[tuple[object, ...], str]) -> frames.RowView:
    viewer_id, list_query = watched.viewer_id, addresses.address(watched.filters)
    looks = (row.id, list_query, row.unread, row.mentioned, row.conversation.assigned_to_id == viewer_id)
    if looks not in drawn:
        drawn[looks] = render_to_string("desk/row.html", {"row": row, "list_query": list_query, "viewer_id": viewer_id})
    return frames.RowView(id=row.id, version=row.conversation.version, matches=row.matches, place=row.place, html=drawn[looks])


def counts_views(viewer_ids: Sequence[int]) -> dict[int, frames.CountsView]:
    if not viewer_ids:
        return {}
    found = inbox.counts_of(viewer_ids)
    return {
        viewer_id: frames.CountsView(waiting=c.waiting, mine=c.mine, mentions=c.mentions, contact=c.contact)
        for viewer_id, c in found.items()
    }


def counts_view(viewer_id: int) -> frames.CountsView:
    return counts_views([viewer_id])[viewer_id]


_news: dict[asyncio.AbstractEventLoop, ListNews] = {}


def list_news() -> ListNews:
    """The news of the running event loop's lists; a process has one loop, the tests have many."""
    loop = asyncio.get_running_loop()
    for old in [other for other in _news if other.is_closed()]:
        del _news[old]
    return _news.setdefault(loop, ListNews())
