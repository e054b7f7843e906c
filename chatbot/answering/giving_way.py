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


def let_customers_go_first(engine: Engine, *, should_stop: Callable[[], bool], patience_s: float, answers: int = 0) -> bool:
    """Wait until no customer waits and there is room for so many answers beside those that run.

    False when patience ends before that, or it shall stop: what happens then is the caller's affair.
    """
    until = time.monotonic() + patience_s
    while not _has_room(engine, answers=answers):
        if should_stop() or time.monotonic() >= until:
            return False
        time.sleep(LOOK_S)
    return True


def _has_room(engine: Engine, *, answers: int) -> bool:
    stats = engine.stats()
    return stats.waiting == 0 and (not answers or stats.running + answers <= max(stats.slots, 1))


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

    def unwanted() -> bool:
        return cancelled() or runtime.stopping.is_set()

    give_up_at = time.monotonic() + (PATIENCE_S if patience_s is None else patience_s)
    request = replace(request, alternatives=max(1, min(request.alternatives, engine.stats().slots)))
    while True:
        progress("waiting", "")
        left_s = give_up_at - time.monotonic()
        room = let_customers_go_first(engine, should_stop=unwanted, patience_s=left_s, answers=request.alternatives)
        if unwanted():
            raise Cancelled
        if not room:
            raise Busy(_BUSY)
        output = _once(request, engine=engine, unwanted=unwanted, progress=progress)
        if output is None:  # It gave way, or was refused.
            if time.monotonic() >= give_up_at:
                raise Busy(_BUSY)
            time.sleep(LOOK_S)
        elif output.finish_reason in ("error", "deadline", "cancelled"):
            raise Unavailable(_FAILED)
        else:
            return output


def _once(
    request: GenerationRequest, *, engine: Engine, unwanted: Callable[[], bool], progress: Callable[[str, str], None]
) -> GenerationOutput | None:
    """The output, or None where the engine had no place for it or it was taken back for a customer."""
    try:
        handle = engine.submit(request)
    except EngineBusy:
        return None
    except EngineError as error:
        raise Unavailable(_FAILED) from error
    return _read(handle, engine=engine, unwanted=unwanted, progress=progress)


def _read(
    handle: GenerationHandle, *, engine: Engine, unwanted: Callable[[], bool], progress: Callable[[str, str], None]
) -> GenerationOutput | None:
    text, began = "", time.monotonic()
    while (piece := handle.next_piece(timeout_s=LOOK_S)) is not None:
        text += piece
        if piece and ("\n" in piece or piece.endswith((".", "。", " "))):
            progress("writing", text)
        if unwanted():
            handle.cancel()
            raise Cancelled
        if engine.stats().waiting and (text or time.monotonic() > began + _SETTLE_S):
            handle.cancel()
            return None
    return handle.output
