"""Turn "this conversation has changed" into rows of the list that one browser shows, gathered for a busy house."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from django.template.loader import render_to_string

from chatbot import protocol
from chatbot.conversations import inbox
from chatbot.conversations.inbox import Filters
from chatbot.telemetry import log_crash
from support_portal.desk import filters as addresses
from support_portal.desk import frames

# The first change is told at once; then so often at most.
GATHER_S = 0.12
FIRST_S = 0.02


class ListNews:
    """The news of one socket's list. Lives in its event loop."""

    def __init__(
        self,
        viewer_id: int,
        *,
        send: Callable[[protocol.Frame], Awaitable[None]],
        read: Callable[..., Awaitable[frames.ListRows]],
    ) -> None:
        """read: list_rows(), in a thread."""
        self._viewer_id = viewer_id
        self._send = send
        self._read = read
        self._filters: Filters | None = None
        self._changed: dict[UUID, None] = {}
        self._stream_id = ""
        self._task: asyncio.Task[None] | None = None

    def choose(self, address: str) -> None:
        """Tell of this list from now on. Raises InvalidInput for an address that is none of ours."""
        self._filters = addresses.parse_query(address.removeprefix("?"))

    def add(self, conversation_id: UUID, *, stream_id: str) -> None:
        self._changed[conversation_id] = None
        self._stream_id = stream_id
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._tell())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _tell(self) -> None:
        await asyncio.sleep(FIRST_S)
        while self._changed and self._filters is not None:
            ids = list(self._changed)[: frames.MAX_ROWS_A_FRAME]
            for conversation_id in ids:
                del self._changed[conversation_id]
            # What is still to come must not be taken as seen when the socket breaks here.
            stream_id = "" if self._changed else self._stream_id
            try:
                frame = await self._read(ids, filters=self._filters, viewer_id=self._viewer_id)
                await self._send(frame.model_copy(update={"stream_id": stream_id}))
            except Exception as error:  # The database is away: only loading the list again brings what was missed.
                log_crash("desk list", error)
                await self._send(frames.ListStale())
            await asyncio.sleep(GATHER_S)


def list_rows(ids: list[UUID], *, filters: Filters, viewer_id: int) -> frames.ListRows:
    """The present state of these conversations, as one list shows them. Reads the database."""
    rows = inbox.touched(ids, filters=filters, viewer_id=viewer_id)
    return frames.ListRows(
        rows=[row_view(row, filters=filters, viewer_id=viewer_id) for row in rows], counts=counts_view(viewer_id)
    )


def row_view(row: inbox.Row, *, filters: Filters, viewer_id: int) -> frames.RowView:
    html = render_to_string(
        "desk/row.html",
        {"row": row, "list_query": addresses.address(filters), "viewer_id": viewer_id, "by_wait": filters.by_wait},
    )
    return frames.RowView(id=row.id, version=row.conversation.version, matches=row.matches, place=row.place, html=html)


def counts_view(viewer_id: int) -> frames.CountsView:
    found = inbox.counts(viewer_id)
    return frames.CountsView(waiting=found.waiting, mine=found.mine, mentions=found.mentions, contact=found.contact)
