"""Ask the model for something that can wait: customers come first, before it begins and while it is being written.

The engine knows no priorities. So nothing is submitted while a customer waits or while it would not fit beside the answers that
run; and when customers begin to wait meanwhile, it is taken back and asked again later, as long as patience lasts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from chatbot import runtime
from chatbot.engine.requests import Engine, EngineBusy, EngineError, GenerationHandle, GenerationOutput, GenerationRequest
from chatbot.errors import Unavailable

PATIENCE_S = 60.0
LOOK_S = 0.25
# A request that has just been submitted stands in the engine's own queue for a moment; that is no customer.
_SETTLE_S = 1.5
_BUSY = "The model is busy with customers. Please try again in a few minutes."
_FAILED = "The model cannot write this now. Please try again later."


class Busy(Unavailable):
    """Customers need the model all the time."""


class Cancelled(Exception):
    """Nobody wants it any more, or this worker stops."""


def write(
    request: GenerationRequest,
    *,
    engine: Engine,
    cancelled: Callable[[], bool],
    progress: Callable[[str, str], None] = lambda step, text: None,
    patience_s: float | None = None,
) -> GenerationOutput:
    """Generate to the end. progress: called with "waiting" or "writing" and the text so far.

    Raises Busy when patience ends, Unavailable when the model fails, each with a sentence for the person who waits; Cancelled.
    """
    give_up_at = time.monotonic() + (PATIENCE_S if patience_s is None else patience_s)
    request = replace(request, alternatives=max(1, min(request.alternatives, engine.stats().slots)))
    while True:
        progress("waiting", "")
        _wait_for_room(request, engine=engine, cancelled=cancelled, give_up_at=give_up_at)
        try:
            handle = engine.submit(request)
        except EngineBusy:
            continue
        except EngineError as error:
            raise Unavailable(_FAILED) from error
        output = _read(handle, engine=engine, cancelled=cancelled, progress=progress)
        if output is None:
            continue  # It gave way.
        if output.finish_reason in ("error", "deadline", "cancelled"):
            raise Unavailable(_FAILED)
        return output


def _wait_for_room(request: GenerationRequest, *, engine: Engine, cancelled: Callable[[], bool], give_up_at: float) -> None:
    while True:
        if cancelled() or runtime.stopping.is_set():
            raise Cancelled
        stats = engine.stats()
        if stats.waiting == 0 and stats.running + request.alternatives <= max(stats.slots, 1):
            return
        if time.monotonic() >= give_up_at:
            raise Busy(_BUSY)
        time.sleep(LOOK_S)


def _read(
    handle: GenerationHandle, *, engine: Engine, cancelled: Callable[[], bool], progress: Callable[[str, str], None]
) -> GenerationOutput | None:
    """The output, or None where it was taken back for a customer."""
    text, began = "", time.monotonic()
    while (piece := handle.next_piece(timeout_s=LOOK_S)) is not None:
        text += piece
        if piece and ("\n" in piece or piece.endswith((".", "。", " "))):
            progress("writing", text)
        if cancelled() or runtime.stopping.is_set():
            handle.cancel()
            raise Cancelled
        if engine.stats().waiting and (text or time.monotonic() > began + _SETTLE_S):
            handle.cancel()
            return None
    return handle.output
