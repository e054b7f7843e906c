"""How one request is put to a busy model: waiting for a place, telling the customer how many are ahead, stopping, giving up."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

from chatbot.answering.answers import Waiting
from chatbot.answering.waiting import Place
from chatbot.engine.requests import Engine, EngineBusy, GenerationHandle, GenerationOutput, GenerationRequest

_POLL_S = 0.1
_NOTICE_S = 1.0
# A refused request asks again at least this often, whatever the engine has guessed: a place may be free sooner.
_RETRY_S = 1.0
# How long after its deadline or a cancel the engine may take to say so before it is taken for dead.
_GRACE_S = 5.0


@dataclass(frozen=True)
class Patience:
    """How long a busy model is worth waiting for, in seconds. refused_s: while it takes no request; begin_s: in its queue."""

    refused_s: float
    begin_s: float


class TooLong:
    """The model has not begun within the caller's patience, and others are still ahead."""


def submit(
    request: GenerationRequest,
    *,
    engine: Engine,
    place: Place,
    should_stop: Callable[[], bool],
    deadline_at: float,
    patience: Patience,
) -> Generator[Waiting, None, GenerationHandle | None]:
    """Hand the request over; while the engine is full, wait in line as long as patience lasts. None: the customer stopped.

    Raises EngineBusy when patience is at its end.
    """
    give_up_at = time.monotonic() + patience.refused_s
    while True:
        try:
            handle = engine.submit(replace(request, deadline_s=max(deadline_at - time.monotonic(), 0.1)))
            place.accepted()
            return handle
        except EngineBusy as busy:
            if time.monotonic() >= give_up_at:
                raise
            retry_at = time.monotonic() + min(busy.retry_after_s, _RETRY_S)
        yield Waiting(place.ahead(refused=True))
        while not place.may_ask_again() or time.monotonic() < retry_at:
            if should_stop():
                return None
            if time.monotonic() >= give_up_at:
                break
            time.sleep(_POLL_S)


def pieces_of(
    handle: GenerationHandle, *, place: Place, should_stop: Callable[[], bool], deadline_at: float, begin_by: float
) -> Iterator[str | Waiting | TooLong]:
    """Yield the model's text, and while there is none, once a second, how many answers are ahead."""
    noticed_at = time.monotonic() if not place.ahead() else 0.0
    while (piece := handle.next_piece(timeout_s=_POLL_S)) is not None:
        now = time.monotonic()
        if piece:
            place.leave()
            yield piece
        elif place.held and now - noticed_at >= _NOTICE_S:
            noticed_at = now
            yield Waiting(place.ahead())
        if handle.cancelled:
            continue
        if should_stop() or now > deadline_at + _GRACE_S:
            handle.cancel()
            return
        if now > begin_by and place.held and place.ahead():
            handle.cancel()
            yield TooLong()
            return


def output_of(handle: GenerationHandle) -> GenerationOutput:
    """Wait for the engine's account, but not for ever: a dead engine must not hold the customer's answer."""
    until = time.monotonic() + _GRACE_S
    while handle.next_piece(timeout_s=_POLL_S) is not None:
        if time.monotonic() > until:
            return GenerationOutput(
                text="", finish_reason="cancelled" if handle.cancelled else "error", error_code="engine_silent"
            )
    return handle.output
