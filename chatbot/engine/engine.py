"""The product's own engine: one model, one inference thread, many requests that join and leave between steps.

Callers' threads render and tokenise prompts and read text pieces; everything that touches the model happens on the one thread.
An error ends the request it belongs to and no other. When the thread itself dies, every request ends and `alive` says so.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import torch

from chatbot.engine.detokenizer import TextStream
from chatbot.engine.drafting import draft_tokens
from chatbot.engine.kv_cache import SlotCache
from chatbot.engine.loading import LoadedModel, load_model, release_memory
from chatbot.engine.machine import require_memory
from chatbot.engine.requests import (
    ChatMessage,
    EngineBusy,
    EngineError,
    EngineStats,
    FinishReason,
    GenerationHandle,
    GenerationOutput,
    GenerationRequest,
    PromptTooLong,
)
from chatbot.engine.runner import Runner
from chatbot.engine.sampling import greedy_tokens, new_generator, sample_token
from chatbot.engine.scheduler import Job, QueueFull, Scheduler, Segment
from chatbot.engine.slots import SlotPool

logger = logging.getLogger(__name__)

# Conversations whose cache outlives their answer, beside the running ones.
KEPT_PER_RUNNING = 1
# How often an idle engine looks for waiting deadlines.
IDLE_WAIT_S = 1.0
STOP_TIMEOUT_S = 30.0


@dataclass(eq=False)
class _Answer:
    """One request from submit to finish."""

    job: Job
    handle: GenerationHandle
    text: TextStream
    submitted_at: float
    generator: torch.Generator = field(default_factory=torch.Generator)
    admitted_at: float | None = None
    first_piece_at: float | None = None

    @property
    def request(self) -> GenerationRequest:
        return self.handle.request

    @property
    def deadline_at(self) -> float:
        return self.submitted_at + self.request.deadline_s


class BatchedEngine:
    """Continuous batching over transformers' own model classes. See Engine in requests.py for the doors."""

    def __init__(
        self,
        model_folder: Path,
        *,
        device: str = "cpu",
        dtype: str = "int8",
        max_running: int = 8,
        max_waiting: int = 64,
        context_tokens: int = 4096,
        threads: int | None = None,
        model_version: str = "",
        reuse_prefixes: bool = True,
        draft_rows: int = 16,
    ) -> None:
        self.model_version = model_version or model_folder.name
        self.context_tokens = context_tokens
        self._folder = model_folder
        self._device = device
        self._dtype = dtype
        self._threads = threads
        self._reuse_prefixes = reuse_prefixes
        self._draft_rows = draft_rows
        self._scheduler = Scheduler(max_running=max_running, max_waiting=max_waiting)
        self._answers: dict[int, _Answer] = {}
        self._ids = count(1)
        self._wake = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._tokens_total = 0
        self._answer_s = 10.0  # running mean of how long an answer takes, for EngineBusy

    # Doors, for any thread

    @property
    def alive(self) -> bool:
        """Whether the inference thread runs. False after a crash, even though the process lives."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        self._cache = SlotCache()
        started_at = time.monotonic()
        try:
            self._loaded = load_model(self._folder, device=self._device, dtype=self._dtype, attention=self._cache.attention_name)
            self._runner = Runner(self._loaded.model, self._cache, device=self._device)
            self.context_tokens = min(self.context_tokens, self._loaded.context_tokens)
            self._allocate_cache(self._loaded)
        except BaseException:
            self._cache.close()
            raise
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()
        logger.info("model %s ready after %.1f s", self.model_version, time.monotonic() - started_at)

    def submit(self, request: GenerationRequest) -> GenerationHandle:
        if not self.alive:
            raise EngineError("engine_stopped", "the engine is not running")
        tokens, shared = self._loaded.chat.encode(request.messages)
        room = self.context_tokens - len(tokens)
        if room < 1 or not tokens:
            raise PromptTooLong(len(tokens), self.context_tokens)
        job = Job(
            job_id=next(self._ids),
            conversation=request.conversation,
            tokens=tokens,
            max_new_tokens=max(0, min(request.max_new_tokens, room)),
            shared_tokens=shared if self._reuse_prefixes else 0,
        )
        handle = GenerationHandle(request)
        text = TextStream(self._loaded.tokenizer, stop=(*request.stop, *self._loaded.chat.stop))
        answer = _Answer(job, handle, text, time.monotonic(), new_generator(request.sampling))
        with self._wake:
            if self._stopping or not self.alive:
                raise EngineError("engine_stopped", "the engine is not running")
            try:
                self._scheduler.enqueue(job)
            except QueueFull:
                raise EngineBusy(self._retry_after_s()) from None
            self._answers[job.job_id] = answer
            self._wake.notify()
        return handle

    def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        return len(self._loaded.chat.encode(messages)[0])

    def stats(self) -> EngineStats:
        with self._wake:
            return EngineStats(
                waiting=self._scheduler.waiting_count,
                running=len(self._scheduler.running),
                slots=self._scheduler.max_running,
                tokens_total=self._tokens_total,
                model_version=self.model_version,
            )

    def stop(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)
            self._cache.close()

    # The inference thread

    def _run(self) -> None:
        code = "engine_stopped"
        try:
            while self._wait_for_work():
                self._step()
        except BaseException:
            code = "engine_died"
            logger.exception("the inference thread died")
        with self._wake:
            self._stopping = True
            answers = list(self._answers.values())
            self._answers.clear()
        for answer in answers:
            reason: FinishReason = "cancelled" if code == "engine_stopped" else "error"
            answer.handle.finish(self._output(answer, reason, error_code="" if reason == "cancelled" else code))

    def _wait_for_work(self) -> bool:
        """Sleep while nothing is asked. Returns False when the engine shall stop."""
        with self._wake:
            while not self._stopping and not self._answers:
                self._wake.wait(IDLE_WAIT_S)
            return not self._stopping

    def _step(self) -> None:
        """1. Let ended requests go. 2. Let waiting ones in. 3. One forward pass. 4. Choose, deliver, finish."""
        self._end_unwanted()
        self._admit()
        segments = self._plan()
        if not segments:
            return
        for part, logits in self._forward(segments):
            self._advance(part, logits)

    def _end_unwanted(self) -> None:
        now = time.monotonic()
        with self._wake:
            answers = list(self._answers.values())
        for answer in answers:
            if answer.handle.cancelled:
                self._finish(answer, "cancelled")
            elif now >= answer.deadline_at:
                self._finish(answer, "deadline")

    def _admit(self) -> None:
        with self._wake:
            admitted = self._scheduler.admit()
        for job in admitted:
            answer = self._answers[job.job_id]
            answer.admitted_at = time.monotonic()
            self._pool.acquire(job)
            if job.max_new_tokens == 0:
                self._finish(answer, "length")

    def _plan(self) -> list[Segment]:
        running = self._scheduler.running
        decoding = [job for job in running if job.pending == 1]
        for job in decoding:
            job.draft = self._draft(job, rows=self._draft_rows // len(running))
        for job in running:
            if job.pending > 1:
                self._pool.share_prefix(job)
        return self._scheduler.plan()

    def _draft(self, job: Job, *, rows: int) -> list[int]:
        """Guess tokens to verify with the next one. Running answers share the rows; sampled answers take none."""
        if self._answers[job.job_id].request.sampling.temperature > 0:
            return []
        return draft_tokens(job.tokens, limit=min(rows, job.max_new_tokens - job.new_tokens - 1))

    def _forward(self, segments: list[Segment]) -> list[tuple[list[Segment], torch.Tensor | None]]:
        """Run the step; when it fails, run every segment alone and fail only the requests that fail again."""
        try:
            return [(segments, self._runner.step(segments))]
        except Exception as error:
            logger.warning("a step of %d requests failed: %s", len(segments), type(error).__name__)
        done: list[tuple[list[Segment], torch.Tensor | None]] = []
        for segment in segments:
            try:
                done.append(([segment], self._runner.step([segment])))
            except Exception as error:
                code = "out_of_memory" if isinstance(error, (MemoryError, torch.OutOfMemoryError)) else "forward_failed"
                logger.exception("request %s failed", self._answers[segment.job.job_id].request.request_id)
                self._finish(self._answers[segment.job.job_id], "error", error_code=code)
        return done

    def _advance(self, segments: list[Segment], logits: torch.Tensor | None) -> None:
        row = 0
        best, sound = greedy_tokens(logits) if logits is not None else ([], [])
        for segment in segments:
            job = segment.job
            answer = self._answers[job.job_id]
            rows = range(row, row + segment.logit_rows)
            row += segment.logit_rows
            job.computed = segment.start + len(segment.tokens) - len(job.draft)
            if self._reuse_prefixes:
                self._pool.keep_prefix(job)
            if not rows:
                continue
            if not all(sound[at] for at in rows):
                self._finish(answer, "error", error_code="bad_logits")
            elif answer.request.sampling.temperature > 0:
                assert logits is not None
                token = sample_token(logits[rows[0]], answer.request.sampling, generator=answer.generator)
                self._accept(answer, [token])
            else:
                self._accept(answer, verified(job.draft, [best[at] for at in rows]))

    def _accept(self, answer: _Answer, tokens: list[int]) -> None:
        """Append chosen tokens, the last of which is not yet computed, and deliver their text in one piece."""
        job = answer.job
        job.draft = []
        pieces = []
        reason: FinishReason | None = None
        for token in tokens:
            job.computed = len(job.tokens)
            job.tokens.append(token)
            self._tokens_total += 1
            if token not in self._loaded.stop_tokens:
                pieces.append(answer.text.push(token))
            if token in self._loaded.stop_tokens or answer.text.stopped:
                reason = "stop"
            elif job.new_tokens >= job.max_new_tokens:
                reason = "length"
            if reason:
                break
        self._deliver(answer, "".join(pieces))
        if reason:
            self._finish(answer, reason)

    def _deliver(self, answer: _Answer, text: str) -> None:
        if text:
            answer.first_piece_at = answer.first_piece_at or time.monotonic()
            answer.handle.deliver(text)

    def _finish(self, answer: _Answer, reason: FinishReason, *, error_code: str = "") -> None:
        """End a request: its slot is free and its output delivered."""
        with self._wake:
            self._answers.pop(answer.job.job_id, None)
            self._scheduler.remove(answer.job)
        self._pool.release(answer.job, keep=self._reuse_prefixes and reason != "error")
        if reason != "error":
            self._deliver(answer, answer.text.finish())
        output = self._output(answer, reason, error_code=error_code)
        if answer.admitted_at is not None:
            self._answer_s += 0.2 * (time.monotonic() - answer.admitted_at - self._answer_s)
        answer.handle.finish(output)

    def _output(self, answer: _Answer, reason: FinishReason, *, error_code: str) -> GenerationOutput:
        now = time.monotonic()
        admitted_at = answer.admitted_at if answer.admitted_at is not None else now
        first_at = answer.first_piece_at
        return GenerationOutput(
            text=answer.text.text,
            finish_reason=reason,
            prompt_tokens=answer.job.prompt_tokens,
            reused_tokens=answer.job.reused,
            completion_tokens=answer.job.new_tokens,
            queued_ms=(admitted_at - answer.submitted_at) * 1000,
            ttft_ms=None if first_at is None else (first_at - answer.submitted_at) * 1000,
            total_ms=(now - answer.submitted_at) * 1000,
            model_version=self.model_version,
            error_code=error_code,
            tokens=tuple(answer.job.tokens[answer.job.prompt_tokens :]),
        )

    def _retry_after_s(self) -> float:
        ahead = self._scheduler.waiting_count / self._scheduler.max_running
        return min(60.0, max(1.0, self._answer_s * ahead))

    def _allocate_cache(self, loaded: LoadedModel) -> None:
        """Plan the memory of the slots and refuse with both numbers when it does not fit."""
        self._runner.probe()
        slots = self._scheduler.max_running * (1 + KEPT_PER_RUNNING * self._reuse_prefixes)
        needed_bytes = slots * self.context_tokens * self._cache.token_bytes()
        if self._device == "cpu":
            require_memory(needed_bytes, purpose=f"the cache of {slots} conversations of {self.context_tokens} tokens")
        elif needed_bytes > torch.cuda.mem_get_info(self._device)[0]:
            free_gb = torch.cuda.mem_get_info(self._device)[0] / 1e9
            raise EngineError("model_memory", f"the cache needs {needed_bytes / 1e9:.1f} GB, the GPU has {free_gb:.1f} GB free")
        self._cache.allocate(slots=slots, context=self.context_tokens)
        self._pool = SlotPool(self._cache, slots=slots)
        release_memory()


def verified(draft: list[int], best: list[int]) -> list[int]:
    """Tokens that hold after checking a draft: the model's choice for each row up to the first that the draft missed."""
    for at, guess in enumerate(draft):
        if guess != best[at]:
            return best[: at + 1]
    return best
