"""One request of the remote engine: what is asked of the server, what has come, what it ends as."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chatbot.engine.remote_chat import Delta, Usage, rows_of
from chatbot.engine.requests import (
    ChatMessage,
    EngineError,
    FinishReason,
    GenerationHandle,
    GenerationOutput,
    GenerationRequest,
)
from chatbot.engine.scheduler import Job

# Older servers name the end by what ended it.
FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "tool_calls": "stop",
    "length": "length",
}
# Servers that draw from a cut distribution unless told otherwise; each names "no cut" in its own way.
NO_CUT: dict[str, dict[str, Any]] = {
    "vllm": {"top_k": -1},
    "sglang": {"top_k": -1},
    "llamacpp": {"top_k": 0, "min_p": 0.0},
}
# What a template puts around one message.
FRAME_TOKENS = 8


@dataclass
class Written:
    """One of a request's answers, as far as it has come. events: pieces, which most servers send one a token."""

    text: str = ""
    events: int = 0
    finish_reason: str = ""
    tokens: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()


@dataclass(eq=False)
class RemoteAnswer:
    """One request from submit to finish. ending: why it was stopped from our side."""

    job: Job
    handle: GenerationHandle
    version: str
    prompt_tokens: int
    submitted_at: float
    written: list[Written]
    usage: Usage | None = None
    admitted_at: float | None = None
    first_piece_at: float | None = None
    ending: FinishReason | None = None
    task: asyncio.Task[tuple[FinishReason, str]] | None = field(default=None, repr=False)

    @property
    def request(self) -> GenerationRequest:
        return self.handle.request

    @property
    def jobs(self) -> tuple[Job, ...]:
        return (self.job, *self.job.siblings)

    def body(self, *, maker: str, base: str) -> dict[str, Any]:
        """The request as the server reads it. maker: who wrote the server, for what only some understand."""
        request, sampling = self.request, self.request.sampling
        body: dict[str, Any] = {
            # SGLang would answer with the base weights if only the adapter's name stood here.
            "model": f"{base}:{self.version}" if maker == "sglang" and self.version != base else self.version,
            "messages": rows_of(request.messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": self.job.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        if maker in NO_CUT:
            body |= NO_CUT[maker] | ({"top_k": sampling.top_k} if sampling.top_k else {})
        if request.stop:
            body["stop"] = list(request.stop)
        if request.alternatives > 1:
            body["n"] = request.alternatives
        if request.logprobs:
            body |= {"logprobs": True, "top_logprobs": 1}
        return body

    def take(self, event: Delta | Usage) -> None:
        """Add what came, and hand on the text of the first answer."""
        if isinstance(event, Usage):
            self.usage = event
            return
        if event.index >= len(self.written):
            raise EngineError("engine_bad_answer", "the model server sent more answers than it was asked for")
        written = self.written[event.index]
        written.finish_reason = written.finish_reason or event.finish_reason
        written.tokens += event.tokens
        written.logprobs += event.logprobs
        if event.text:
            written.text += event.text
            written.events += 1
            if event.index == 0:
                self.first_piece_at = self.first_piece_at or time.monotonic()
                self.handle.deliver(event.text)

    def output(self, reason: FinishReason, *, error_code: str = "") -> GenerationOutput:
        """The result. Alternatives that were not finished end as the first one does."""
        others = tuple(
            self._output(
                written, FINISH_REASONS.get(written.finish_reason, reason), error_code="" if written.finish_reason else error_code
            )
            for written in self.written[1:]
        )
        return replace(self._output(self.written[0], reason, error_code=error_code), alternatives=others)

    def _output(self, written: Written, reason: FinishReason, *, error_code: str) -> GenerationOutput:
        now = time.monotonic()
        admitted_at = self.admitted_at if self.admitted_at is not None else now
        # The server's sum covers all answers together; apart they are told by their log probabilities or pieces.
        alone = self.usage.completion_tokens if self.usage and len(self.written) == 1 else 0
        return GenerationOutput(
            text=written.text,
            finish_reason=reason,
            prompt_tokens=(self.usage.prompt_tokens if self.usage else 0) or self.prompt_tokens,
            reused_tokens=self.usage.reused_tokens if self.usage else 0,
            completion_tokens=alone or len(written.logprobs) or written.events,
            queued_ms=(admitted_at - self.submitted_at) * 1000,
            ttft_ms=None if self.first_piece_at is None else (self.first_piece_at - self.submitted_at) * 1000,
            total_ms=(now - self.submitted_at) * 1000,
            model_version=self.version,
            error_code=error_code,
            tokens=written.tokens,
            logprobs=written.logprobs,
        )


def estimate_tokens(messages: Sequence[ChatMessage]) -> int:
    """Guess a prompt's tokens where no server counts them, rather too high than too low.

    A third of a token for each Latin letter, space or stop, 1 for each digit and each character of other scripts (Chinese,
    Cyrillic), 3 for emoji, and 8 a message for its frame.
    """
    return sum(FRAME_TOKENS - (-sum(map(_thirds, message.content)) // 3) for message in messages)


def _thirds(character: str) -> int:
    if character > "\uffff":
        return 9
    return 3 if character.isdigit() or character >= "\u0370" else 1
