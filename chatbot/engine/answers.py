"""A request on its way through the engine: the answers it asked for, their clocks, and what comes out at the end.

Only the first answer is streamed; the request has ended when all of them have.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch

from chatbot.engine.detokenizer import TextStream
from chatbot.engine.requests import FinishReason, GenerationHandle, GenerationOutput, GenerationRequest
from chatbot.engine.sampling import new_generator
from chatbot.engine.scheduler import Job


@dataclass(eq=False)
class OpenRequest:
    """What the answers to one prompt have in common."""

    handle: GenerationHandle
    version: str
    submitted_at: float
    admitted_at: float | None = None
    answers: list[Answer] = field(default_factory=list)

    @property
    def asked(self) -> GenerationRequest:
        return self.handle.request

    @property
    def sampled(self) -> bool:
        return self.asked.sampling.temperature > 0

    def add(self, job_id: int, *, tokens: list[int], room: int, shared_tokens: int, adapter: str, text: TextStream) -> None:
        """Add an answer. All but the first wait for the first one's prompt, take a copy of its keys and values, and keep none."""
        index = len(self.answers)
        limit = max(0, min(self.asked.max_new_tokens, room))
        job = Job(job_id, "" if index else self.asked.conversation, list(tokens), limit, shared_tokens, adapter, held=index > 0)
        if index:
            self.answers[0].job.siblings.append(job)
        self.answers.append(Answer(self, job, text, new_generator(self.asked.sampling, index=index)))

    @property
    def unended(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.output is None]

    def unwanted(self, now: float) -> FinishReason | None:
        """Say why it shall end although its answers have not, if so."""
        if self.handle.cancelled:
            return "cancelled"
        return "deadline" if now >= self.submitted_at + self.asked.deadline_s else None

    def close(self) -> None:
        """Hand over the result once every answer has ended."""
        if not self.unended:
            outputs = [answer.output for answer in self.answers if answer.output]
            self.handle.finish(replace(outputs[0], alternatives=tuple(outputs[1:])))


@dataclass(eq=False)
class Answer:
    """One text being written. `output` is there once it has ended."""

    whole: OpenRequest
    job: Job
    text: TextStream
    generator: torch.Generator
    logprobs: list[float] = field(default_factory=list)
    hidden: tuple[float, ...] = ()
    first_piece_at: float | None = None
    output: GenerationOutput | None = None

    @property
    def is_first(self) -> bool:
        return self.whole.answers[0] is self

    @property
    def watched(self) -> int | None:
        """The layer whose state is asked for; it is that of the prompt, so nothing once a token is written."""
        return None if self.job.new_tokens else self.whole.asked.hidden_layer

    def note(self, hidden: Mapping[int, torch.Tensor], *, row: int) -> None:
        """Keep the watched layer's state, from (rows, width) of each watched layer."""
        if self.watched is not None and self.watched in hidden:
            self.hidden = tuple(hidden[self.watched][row].tolist())

    def accept(self, tokens: list[int], *, stop_tokens: frozenset[int]) -> FinishReason | None:
        """Append chosen tokens up to the end of the answer, deliver their text in one piece and say whether it has ended.

        The last of them is not yet computed; those before it are, as drafts.
        """
        self.job.draft = []
        pieces = []
        reason: FinishReason | None = None
        for token in tokens:
            self.job.computed = len(self.job.tokens)
            self.job.tokens.append(token)
            if token not in stop_tokens:
                pieces.append(self.text.push(token))
            if token in stop_tokens or self.text.stopped:
                reason = "stop"
            elif self.job.new_tokens >= self.job.max_new_tokens:
                reason = "length"
            if reason:
                break
        self._deliver("".join(pieces))
        return reason

    def end(self, reason: FinishReason, *, error_code: str = "") -> None:
        """Write the output. The request's own result follows with `OpenRequest.close`."""
        if reason != "error":
            self._deliver(self.text.finish())
        now, job, submitted_at = time.monotonic(), self.job, self.whole.submitted_at
        admitted_at = now if self.whole.admitted_at is None else self.whole.admitted_at
        self.output = GenerationOutput(
            text=self.text.text,
            finish_reason=reason,
            prompt_tokens=job.prompt_tokens,
            reused_tokens=job.reused,
            completion_tokens=job.new_tokens,
            queued_ms=(admitted_at - submitted_at) * 1000,
            ttft_ms=None if self.first_piece_at is None else (self.first_piece_at - submitted_at) * 1000,
            total_ms=(now - submitted_at) * 1000,
            model_version=self.whole.version,
            error_code=error_code,
            tokens=tuple(job.tokens[job.prompt_tokens :]),
            logprobs=tuple(self.logprobs[: job.new_tokens]),
            hidden=self.hidden,
        )

    def _deliver(self, text: str) -> None:
        if not text:
            return
        self.first_piece_at = self.first_piece_at or time.monotonic()
        if self.is_first:
            self.whole.handle.deliver(text)


def watched_by(answers: Iterable[Answer | None]) -> set[int]:
    """The layers that any of them asks for."""
    return {answer.watched for answer in answers if answer and answer.watched is not None}
