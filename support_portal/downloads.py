"""Files that are made while they are sent, so that one of any length needs the memory of a piece."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse


def download(request: HttpRequest, pieces: Iterator[bytes], *, name: str, content_type: str) -> StreamingHttpResponse:
    # A server takes only iterators of its own kind without reading them to the end first.
    body = unblocking(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(body, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


async def unblocking(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """One piece after the other, each made in a thread: the server goes on with its sockets meanwhile."""
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece
