"""What goes into an engine and what comes out. Knows nothing of models, devices, Django or the network.

Every engine (the batched one, the remote one, the scripted one of the tests) has the same doors: see `Engine`.
`submit` returns a `GenerationHandle` at once; the handle is an iterator of text pieces and, when it has ended, holds the
`GenerationOutput`. A failure of one request is a value (`finish_reason="error"`), never an exception in another's thread.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

FinishReason = Literal["stop", "length", "cancelled", "deadline", "error"]


class EngineError(Exception):
    """A request or a load that the engine refuses. `code` is stable; the text is for the operator."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class EngineBusy(EngineError):
    """The queue is full; ask again after `retry_after_s` seconds."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("engine_busy", f"the queue is full; try again in {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


class PromptTooLong(EngineError):
    def __init__(self, prompt_tokens: int, context_tokens: int) -> None:
        super().__init__("prompt_too_long", f"the prompt has {prompt_tokens} tokens, the model takes {context_tokens}")
        self.prompt_tokens = prompt_tokens
        self.context_tokens = context_tokens


@dataclass(frozen=True)
class ChatMessage:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. The defaults are greedy decoding."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0


@dataclass(frozen=True)
class GenerationRequest:
    """One answer to write.

    conversation: whose keys and values may be reused; only requests of the same conversation share more than the system prompt.
    deadline_s: seconds from `submit` after which the engine ends the request with finish_reason "deadline".
    version: which of the engine's versions writes it; empty for the live one at the time of `submit`.
    alternatives: how many answers to write from one reading of the prompt; the handle streams the first of them. The others draw
    from seeds that follow the first's, so they differ only when the temperature is above 0.
    logprobs: whether the output tells how probable each token was.
    hidden_layer: the layer, counted from 0, whose state at the prompt's last token the output shall hold.
    """

    request_id: str
    messages: Sequence[ChatMessage]
    max_new_tokens: int = 256
    deadline_s: float = 60.0
    sampling: Sampling = field(default_factory=Sampling)
    stop: Sequence[str] = ()
    conversation: str = ""
    version: str = ""
    alternatives: int = 1
    logprobs: bool = False
    hidden_layer: int | None = None


def check_request(request: GenerationRequest, *, slots: int) -> None:
    """Raise EngineError("bad_request") for what no engine of so many slots could do; lengths are not judged here."""
    if not 1 <= request.alternatives <= slots:
        raise EngineError("bad_request", f"{request.alternatives} alternatives were asked for; 1 to {slots} are possible")
    if not math.isfinite(request.sampling.temperature) or math.isnan(request.deadline_s):
        raise EngineError("bad_request", "the temperature must be a finite number, and the deadline a number")


@dataclass(frozen=True)
class GenerationOutput:
    """How a request ended.

    tokens, logprobs: ids of the answer and, where they were asked for, the natural logarithm of each one's probability under the
    model's own distribution, before temperature and cuts. hidden: the layer's state that was asked for, (width,); empty where an
    engine has none to give. alternatives: the answers beside this one, in order.
    """

    text: str
    finish_reason: FinishReason
    prompt_tokens: int = 0
    reused_tokens: int = 0
    completion_tokens: int = 0
    queued_ms: float = 0.0
    ttft_ms: float | None = None
    total_ms: float = 0.0
    model_version: str = ""
    error_code: str = ""
    tokens: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    hidden: tuple[float, ...] = ()
    alternatives: tuple[GenerationOutput, ...] = ()

    @property
    def tokens_per_s(self) -> float:
        """Speed of writing, from the first piece on; 0 when it cannot be told."""
        writing_ms = self.total_ms - (self.ttft_ms or self.total_ms)
        return (self.completion_tokens - 1) / writing_ms * 1000 if writing_ms > 0 and self.completion_tokens > 1 else 0.0


@dataclass(frozen=True)
class EngineStats:
    """slots: answers written at once; cache_slots, free_cache_slots: conversations whose keys and values have a place.

    steps_per_s, rows_per_step: over the last seconds of work; rows are tokens that went through the model.
    """

    waiting: int
    running: int
    slots: int
    tokens_total: int
    model_version: str
    cache_slots: int = 0
    free_cache_slots: int = 0
    steps_total: int = 0
    steps_per_s: float = 0.0
    rows_per_step: float = 0.0


class GenerationHandle:
    """The caller's end of one request: iterate for text pieces, `cancel` from any thread, then read `output`.

    The engine's end: `deliver` text, then `finish` exactly once.
    """

    def __init__(self, request: GenerationRequest) -> None:
        self.request = request
        self._events: queue.SimpleQueue[str | GenerationOutput] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._output: GenerationOutput | None = None

    def __iter__(self) -> Iterator[str]:
        while self._output is None:
            event = self._events.get()
            if isinstance(event, GenerationOutput):
                self._output = event
            else:
                yield event

    def next_piece(self, *, timeout_s: float) -> str | None:
        """Return the next piece, "" when none came within `timeout_s`, None when the request has ended."""
        if self._output is not None:
            return None
        try:
            event = self._events.get(timeout=timeout_s)
        except queue.Empty:
            return ""
        if isinstance(event, GenerationOutput):
            self._output = event
            return None
        return event

    @property
    def output(self) -> GenerationOutput:
        """The result; waits for the end and drops pieces nobody has read."""
        for _ in self:
            pass
        assert self._output is not None
        return self._output

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Ask the engine to stop; its slot is free after the current step, and the output says "cancelled"."""
        self._cancelled.set()

    def deliver(self, text: str) -> None:
        self._events.put(text)

    def finish(self, output: GenerationOutput) -> None:
        self._events.put(output)


class Engine(Protocol):
    """One model in one process, in one or more versions. All methods may be called from any thread."""

    context_tokens: int

    @property
    def model_version(self) -> str:
        """The live version: who answers requests that name none."""

    @property
    def versions(self) -> tuple[str, ...]:
        """Every version a request may name: the base weights first, then the loaded adapters."""

    def load_version(self, name: str, folder: Path) -> None:
        """Add a LoRA adapter in peft's format under `name`, while requests run. Raises EngineError when it does not fit."""

    def drop_version(self, name: str) -> None:
        """Forget an adapter once its running requests have ended. Raises EngineError for the live version and the base."""

    def make_live(self, name: str) -> None:
        """Let `name` answer all requests submitted from now on. Raises EngineError("unknown_version")."""

    @property
    def alive(self) -> bool:
        """Whether requests are being served; False after the inference thread has died."""

    def start(self) -> None:
        """Load the weights and start the inference thread. Raises EngineError when they do not load or do not fit."""

    def submit(self, request: GenerationRequest) -> GenerationHandle:
        """Queue a request. Raises EngineBusy when the queue is full, PromptTooLong when it cannot fit the context.

        Raises EngineError("unknown_version") for a version that is not loaded, EngineError("bad_request") for alternatives below
        1 or above `stats().slots`.
        """

    def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """Prompt tokens of these messages under the model's own chat template."""

    def stats(self) -> EngineStats: ...

    def stop(self) -> None:
        """End the inference thread; requests in flight end with finish_reason "cancelled"."""
