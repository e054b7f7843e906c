"""The product's own engine: one model, one inference thread, many requests that join and leave between steps.

Callers' threads render and tokenise prompts and read text pieces; everything that touches the model happens on the one thread.
An error ends the request it belongs to and no other. When the thread itself dies, every request ends and `alive` says so.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import torch

from chatbot.engine.answers import Answer, OpenRequest, watched_by
from chatbot.engine.detokenizer import TextStream
from chatbot.engine.device import is_out_of_memory, require_room
from chatbot.engine.drafting import draft_tokens, verified_tokens
from chatbot.engine.kv_cache import SlotCache
from chatbot.engine.loading import load_model, release_memory
from chatbot.engine.lora import AdapterSet
from chatbot.engine.measures import AnswerTime, Pace
from chatbot.engine.requests import (
    ChatMessage,
    EngineBusy,
    EngineError,
    EngineStats,
    FinishReason,
    GenerationHandle,
    GenerationRequest,
    PromptTooLong,
    check_request,
)
from chatbot.engine.runner import Runner, Step
from chatbot.engine.sampling import greedy_tokens, sample_token, token_logprobs
from chatbot.engine.scheduler import Job, QueueFull, Scheduler, Segment
from chatbot.engine.slots import SlotPool
from chatbot.engine.versions import Versions

logger = logging.getLogger(__name__)

# Conversations whose cache outlives their answer, beside the running ones.
KEPT_PER_RUNNING = 1
# Guessing one token an answer gains as much as its row costs.
FEWEST_DRAFT_ROWS = 2
# How often an idle engine looks for waiting deadlines.
IDLE_WAIT_S = 1.0
STOP_TIMEOUT_S = 30.0
# How long a version that is to be dropped may take to finish its requests.
DROP_TIMEOUT_S = 90.0


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
        cuda_graphs: bool = False,
    ) -> None:
        self.context_tokens = context_tokens
        self._folder = model_folder
        self._device = device
        self._dtype = dtype
        self._threads = threads
        self._reuse_prefixes = reuse_prefixes
        # A graph decodes one row an answer: drafts would keep it from ever being used.
        self._draft_rows = 0 if cuda_graphs else draft_rows
        self._cuda_graphs = cuda_graphs
        self._versions = Versions(model_version or model_folder.name)
        self._dropped: list[str] = []  # adapters whose keys and values are to be forgotten before the next step
        self._scheduler = Scheduler(max_running=max_running, max_waiting=max_waiting)
        self._answers: dict[int, Answer] = {}
        self._ids = count(1)
        self._wake = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._tokens_total = 0
        self._pace = Pace()
        self._work_since = 0.0
        self._answer_time = AnswerTime()

    # Doors, for any thread

    @property
    def model_version(self) -> str:
        return self._versions.live

    @property
    def versions(self) -> tuple[str, ...]:
        with self._wake:
            return self._versions.names

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
            self._adapters = AdapterSet(self._loaded.model)
            self._runner = Runner(
                self._loaded.model, self._cache, device=self._device, adapters=self._adapters, graphs=self._cuda_graphs
            )
            self.context_tokens = min(self.context_tokens, self._loaded.context_tokens)
            self._allocate_cache()
        except BaseException:
            self._cache.close()
            raise
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()
        logger.info("model %s ready after %.1f s", self.model_version, time.monotonic() - started_at)

    def submit(self, request: GenerationRequest) -> GenerationHandle:
        self._require_running()
        check_request(request, slots=self._scheduler.max_running)
        tokens, shared = self._loaded.chat.encode(request.messages)
        room = self.context_tokens - len(tokens)
        if room < 1 or not tokens:
            raise PromptTooLong(len(tokens), self.context_tokens)
        with self._wake:
            self._require_running()
            version = self._versions.choose(request.version)
            opened = OpenRequest(GenerationHandle(request), version, time.monotonic())
            adapter, shared = self._versions.adapter_of(version), shared if self._reuse_prefixes else 0
            for _ in range(request.alternatives):
                text = TextStream(self._loaded.tokenizer, stop=(*request.stop, *self._loaded.chat.stop))
                opened.add(next(self._ids), tokens=tokens, room=room, shared_tokens=shared, adapter=adapter, text=text)
            try:
                self._scheduler.enqueue(opened.answers[0].job)
            except QueueFull:
                raise EngineBusy(self._retry_after_s()) from None
            self._answers.update((answer.job.job_id, answer) for answer in opened.answers)
            self._wake.notify_all()
        return opened.handle

    def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        return len(self._loaded.chat.encode(messages)[0])

    def load_version(self, name: str, folder: Path) -> None:
        self._require_running()
        with self._wake:
            self._versions.check_new(name)
        self._adapters.load(name, folder, base=self._versions.base)
        with self._wake:
            self._versions.add(name)
        logger.info("version %s loaded", name)

    def drop_version(self, name: str) -> None:
        self._require_running()
        with self._wake:
            self._versions.close(name)
            if not self._wake.wait_for(lambda: not self._is_used(name), DROP_TIMEOUT_S):
                self._versions.reopen(name)
                raise EngineError("version_busy", f"requests of version {name!r} still run after {DROP_TIMEOUT_S:.0f} s")
        self._adapters.drop(name)
        with self._wake:
            self._dropped.append(name)
            self._versions.forget(name)
        logger.info("version %s dropped", name)

    def make_live(self, name: str) -> None:
        with self._wake:
            self._versions.make_live(name)
        logger.info("version %s is live", name)

    def stats(self) -> EngineStats:
        with self._wake:
            cache_slots, free = (self._pool.slot_count, self._pool.idle_count) if self._thread else (0, 0)
            return EngineStats(
                waiting=self._scheduler.waiting_count,
                running=len(self._scheduler.running),
                slots=self._scheduler.max_running,
                tokens_total=self._tokens_total,
                model_version=self._versions.live,
                cache_slots=cache_slots,
                free_cache_slots=free,
                steps_total=self._pace.steps_total,
                steps_per_s=self._pace.steps_per_s,
                rows_per_step=self._pace.rows_per_step,
            )

    def stop(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)
            self._cache.close()

    # On the way in, for any thread

    def _require_running(self) -> None:
        if self._stopping or not self.alive:
            raise EngineError("engine_stopped", "the engine is not running")

    def _is_used(self, version: str) -> bool:
        return any(answer.whole.version == version for answer in self._answers.values())

    def _retry_after_s(self) -> float:
        return self._answer_time.retry_after_s(places_ahead=self._scheduler.places_ahead, places=self._scheduler.max_running)

    # The inference thread

    def _run(self) -> None:
        code = ""
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
            self._wake.notify_all()
        for answer in answers:
            answer.end("error" if code else "cancelled", error_code=code)
            answer.whole.close()

    def _wait_for_work(self) -> bool:
        """Sleep while nothing is asked. Returns False when the engine shall stop."""
        with self._wake:
            if not self._answers:
                while not self._stopping and not self._answers:
                    self._wake.wait(IDLE_WAIT_S)
                self._work_since = time.monotonic()
            return not self._stopping

    def _step(self) -> None:
        """1. Let ended requests go. 2. Let waiting ones in. 3. One forward pass. 4. Choose, deliver, finish."""
        self._end_unwanted()
        self._admit()
        segments = self._plan()
        if not segments:
            return
        done = self._forward(segments)
        with self._wake:
            now = time.monotonic()
            self._pace.add(step_s=now - self._work_since, rows=sum(len(segment.tokens) for segment in segments))
            self._work_since = now
        for step in done:
            self._advance(*step)

    def _end_unwanted(self) -> None:
        with self._wake:
            answers = list(self._answers.values())
        for answer in answers:
            if reason := answer.whole.unwanted(time.monotonic()):
                with self._alone(answer, code="answer_failed"):
                    self._finish(answer, reason)

    def _admit(self) -> None:
        with self._wake:
            dropped, self._dropped = self._dropped, []
            admitted = self._scheduler.admit()
        for name in dropped:
            self._pool.forget(name)
        for job in admitted:
            answer = self._answers[job.job_id]
            answer.whole.admitted_at = time.monotonic()
            self._pool.acquire(job)
            if job.max_new_tokens == 0:
                self._finish(answer, "length")

    def _plan(self) -> list[Segment]:
        running = [job for job in self._scheduler.running if not job.held]
        reading = [job for job in running if job.pending > 1]
        for job in reading:
            self._pool.share_prefix(job)
        if not reading:  # a step that reads a prompt has no row to spare for guesses
            rows = self._draft_rows // max(len(running), 1)
            for job in running:
                job.draft = self._draft(job, rows=rows) if rows >= FEWEST_DRAFT_ROWS else []
        return self._scheduler.plan()

    def _draft(self, job: Job, *, rows: int) -> list[int]:
        """Guess tokens to verify with the next one. Running answers share the rows; sampled answers take none."""
        if self._answers[job.job_id].whole.sampled:
            return []
        return draft_tokens(job.tokens, limit=min(rows, job.max_new_tokens - job.new_tokens - 1))

    def _forward(self, segments: list[Segment]) -> list[Step]:
        """Run the step; when it fails, run every segment alone and fail only the requests that fail again."""
        try:
            return [self._run_step(segments)]
        except Exception as error:
            logger.warning("a step of %d requests failed: %s", len(segments), type(error).__name__)
            short_of_memory = is_out_of_memory(error)
        if short_of_memory:
            torch.cuda.empty_cache()  # does nothing where CUDA is not in use
        done: list[Step] = []
        for segment in segments:
            if answer := self._answers.get(segment.job.job_id):  # else its request has just failed
                with self._alone(answer, code="forward_failed"):
                    done.append(self._run_step([segment]))
        return done

    def _run_step(self, segments: list[Segment]) -> Step:
        self._runner.watch(watched_by(self._answers.get(segment.job.job_id) for segment in segments if segment.logit_rows))
        return segments, self._runner.step(segments), self._runner.hidden

    def _advance(self, segments: list[Segment], logits: torch.Tensor | None, hidden: dict[int, torch.Tensor]) -> None:
        row = 0
        best, sound = greedy_tokens(logits) if logits is not None else ([], [])
        for segment in segments:
            rows = slice(row, row + segment.logit_rows)
            row = rows.stop
            takers = [segment.job, *(job for job in segment.job.siblings if job.held)] if segment.logit_rows else []
            if answer := self._answers.get(segment.job.job_id):
                with self._alone(answer, code="answer_failed"):
                    self._take_in(segment)
            for job in takers:
                if (answer := self._answers.get(job.job_id)) and logits is not None:
                    with self._alone(answer, code="answer_failed"):
                        answer.note(hidden, row=rows.start)
                        self._choose(answer, logits[rows], best=best[rows], sound=sound[rows])

    def _take_in(self, segment: Segment) -> None:
        """Note what a segment has computed. At the end of a prompt its siblings get a copy, and choose from the same row."""
        job = segment.job
        job.computed = segment.start + len(segment.tokens) - len(job.draft)
        if self._reuse_prefixes:
            self._pool.keep_prefix(job)
        for sibling in job.siblings if segment.logit_rows else ():
            if sibling.held:
                self._pool.branch(job, sibling=sibling)

    def _choose(self, answer: Answer, logits: torch.Tensor, *, best: list[int], sound: list[bool]) -> None:
        """Let an answer take its next tokens from its rows of the step, and end it if these were its last."""
        asked, job = answer.whole.asked, answer.job
        if not answer.whole.sampled:
            tokens = verified_tokens(job.draft, best)
        else:
            tokens = [sample_token(logits[0], asked.sampling, generator=answer.generator)] if sound[0] else best[:1]
        if not all(sound[: len(tokens)]):
            self._finish(answer, "error", error_code="bad_logits")
            return
        if asked.logprobs:
            answer.logprobs += token_logprobs(logits, tokens)
        before = job.new_tokens
        reason = answer.accept(tokens, stop_tokens=self._loaded.stop_tokens)
        self._tokens_total += job.new_tokens - before
        if reason:
            self._finish(answer, reason)

    @contextlib.contextmanager
    def _alone(self, answer: Answer, *, code: str) -> Iterator[None]:
        """Let an error end this answer and no other's."""
        try:
            yield
        except Exception as error:
            logger.exception("request %s failed", answer.whole.asked.request_id)
            self._finish(answer, "error", error_code="out_of_memory" if is_out_of_memory(error) else code)

    def _finish(self, answer: Answer, reason: FinishReason, *, error_code: str = "") -> None:
        """End an answer: its slot is free and its output written. The error of a first answer ends those beside it."""
        ending = answer.whole.unended if reason == "error" and answer.is_first else [answer]
        with self._wake:
            for each in ending:
                self._answers.pop(each.job.job_id, None)
                self._scheduler.remove(each.job)
                if answer.whole.admitted_at is not None:
                    self._answer_time.add(time.monotonic() - answer.whole.admitted_at)
            self._wake.notify_all()
        for each in ending:
            self._pool.release(each.job, keep=self._reuse_prefixes and reason != "error")
            each.end(reason, error_code=error_code)
        answer.whole.close()

    def _allocate_cache(self) -> None:
        """Plan the memory of the slots and refuse with both numbers when it does not fit."""
        self._runner.probe()
        slots = self._scheduler.max_running * (1 + KEPT_PER_RUNNING * self._reuse_prefixes)
        needed_bytes = slots * self.context_tokens * self._cache.token_bytes()
        purpose = f"the cache of {slots} conversations of {self.context_tokens} tokens"
        require_room(needed_bytes, device=self._device, purpose=purpose)
        self._cache.allocate(slots=slots, context=self.context_tokens)
        self._pool = SlotPool(self._cache, slots=slots)
        release_memory()
