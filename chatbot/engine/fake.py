"""A scripted engine behind the same doors as the real one: for tests, never for customers.

Answers come, in this order, from `enqueue`, from the script file, from `compose`, or are a fixed text that cites passage [1].
The script file has one JSON object a line: {"match": part of the customer's last message, "pieces": [...], "gap_s": 0.05,
"error": code or "busy"}; only "match" must be there. It is read again for every request, so a test may rewrite it meanwhile.
Versions are names: all of them say the same. Alternatives are the same answer again, and every token is certain.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chatbot.engine.measures import AnswerTime, Pace
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
    check_request,
)
from chatbot.engine.versions import Versions

DROP_TIMEOUT_S = 90.0
SENTENCES = (
    "Thank you for your question. ",
    "This is what our help pages say about it [1]. ",
    "The page behind the number has the details. ",
    "Please write again if anything is unclear. ",
)
BUSY = "busy"
# How often those who wait look round.
LOOK_S = 0.005


@dataclass(frozen=True)
class ScriptedAnswer:
    """error: a code to fail with after the pieces, or "busy" to refuse the request."""

    pieces: tuple[str, ...]
    gap_s: float
    error: str = ""


class ScriptedEngine:
    """One thread a request, at most `max_running` answers at a time; the others wait their turn."""

    def __init__(
        self,
        *,
        pieces_per_answer: int = 24,
        gap_s: float = 0.02,
        script: Path | None = None,
        compose: Callable[[GenerationRequest], Sequence[str]] | None = None,
        max_running: int = 16,
        max_waiting: int = 64,
        context_tokens: int = 4096,
        model_version: str = "scripted",
    ) -> None:
        self.context_tokens = context_tokens
        self._versions = Versions(model_version)
        self._pieces_per_answer = pieces_per_answer
        self._gap_s = gap_s
        self._script = script
        self._compose = compose
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._queued: deque[ScriptedAnswer] = deque()
        self._lock = threading.Condition()
        self._open: dict[GenerationHandle, tuple[threading.Thread, str]] = {}
        self._line: deque[GenerationHandle] = deque()  # who waits for a place, first come first served
        self._running = 0
        self._tokens_total = 0
        self._pace = Pace()
        self._answer_time = AnswerTime()
        self._alive = False

    # For tests

    def enqueue(self, pieces: Sequence[str], *, gap_s: float | None = None, error: str = "") -> None:
        """Script the next unscripted request: first in, first out."""
        with self._lock:
            self._queued.append(ScriptedAnswer(tuple(pieces), self._gap_s if gap_s is None else gap_s, error))

    def enqueue_busy(self) -> None:
        self.enqueue((), error=BUSY)

    # The doors

    @property
    def model_version(self) -> str:
        return self._versions.live

    @property
    def versions(self) -> tuple[str, ...]:
        with self._lock:
            return self._versions.names

    @property
    def alive(self) -> bool:
        return self._alive

    def start(self) -> None:
        self._alive = True

    def submit(self, request: GenerationRequest) -> GenerationHandle:
        check_request(request, slots=self._max_running)
        prompt_tokens = self.count_tokens(request.messages)
        if prompt_tokens >= self.context_tokens:
            raise PromptTooLong(prompt_tokens, self.context_tokens)
        handle = GenerationHandle(request)
        with self._lock:
            if not self._alive:
                raise EngineError("engine_stopped", "the engine is not running")
            version = self._versions.choose(request.version)
            if len(self._line) >= self._max_waiting + self._max_running - self._running:
                raise EngineBusy(self._retry_after_s())
            answer = self._queued.popleft() if self._queued else self._scripted(request)
            if answer.error == BUSY:
                raise EngineBusy(1.0)
            thread = threading.Thread(target=self._play, args=(handle, answer, version, prompt_tokens), daemon=True)
            self._open[handle] = (thread, version)
            self._line.append(handle)
        thread.start()
        return handle

    def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """About four characters a token, and four tokens a message for its frame."""
        return sum(4 + len(message.content) // 4 for message in messages)

    def load_version(self, name: str, folder: Path) -> None:
        if not folder.is_dir():
            raise EngineError("model_missing_file", f"{folder} is not a folder")
        with self._lock:
            self._versions.add(name)

    def drop_version(self, name: str) -> None:
        with self._lock:
            self._versions.close(name)
            if not self._lock.wait_for(lambda: not self._is_used(name), DROP_TIMEOUT_S):
                self._versions.reopen(name)
                raise EngineError("version_busy", f"requests of version {name!r} still run after {DROP_TIMEOUT_S:.0f} s")
            self._versions.forget(name)

    def make_live(self, name: str) -> None:
        with self._lock:
            self._versions.make_live(name)

    def stats(self) -> EngineStats:
        with self._lock:
            return EngineStats(
                waiting=len(self._line),
                running=self._running,
                slots=self._max_running,
                tokens_total=self._tokens_total,
                model_version=self._versions.live,
                cache_slots=self._max_running,
                free_cache_slots=self._max_running - self._running,
                steps_total=self._pace.steps_total,
                steps_per_s=self._pace.steps_per_s,
                rows_per_step=self._pace.rows_per_step,
            )

    def stop(self) -> None:
        with self._lock:
            self._alive = False
            running = dict(self._open)
        for handle, (thread, _) in running.items():
            handle.cancel()
            thread.join()

    def _is_used(self, version: str) -> bool:
        return any(own == version for _, own in self._open.values())

    def _retry_after_s(self) -> float:
        places = sum(handle.request.alternatives for handle in self._line)
        return self._answer_time.retry_after_s(places_ahead=places, places=self._max_running)

    # Playing an answer

    def _scripted(self, request: GenerationRequest) -> ScriptedAnswer:
        question = next((message.content for message in reversed(request.messages) if message.role == "user"), "")
        for line in self._script.read_text(encoding="utf-8").splitlines() if self._script and self._script.is_file() else ():
            rule = json.loads(line) if line.strip() else None
            if rule and rule["match"] in question:
                pieces = tuple(rule.get("pieces") or self._default_pieces())
                return ScriptedAnswer(pieces, float(rule.get("gap_s", self._gap_s)), str(rule.get("error", "")))
        pieces = tuple(self._compose(request)) if self._compose else self._default_pieces()
        return ScriptedAnswer(pieces, self._gap_s)

    def _default_pieces(self) -> tuple[str, ...]:
        words = [word + " " for sentence in SENTENCES for word in sentence.split()]
        return tuple(words[at % len(words)] for at in range(self._pieces_per_answer))

    def _play(self, handle: GenerationHandle, answer: ScriptedAnswer, version: str, prompt_tokens: int) -> None:
        request = handle.request
        submitted_at = time.monotonic()
        deadline_at = submitted_at + request.deadline_s
        text, shown, ttft_ms, queued_ms = "", 0, None, 0.0
        reason = self._wait_for_place(handle, deadline_at=deadline_at)
        if reason is None:
            queued_ms = (time.monotonic() - submitted_at) * 1000
            limit = max(0, request.max_new_tokens)
            for piece in answer.pieces[:limit]:
                reason = self._pause(handle, answer.gap_s, deadline_at=deadline_at)
                if reason:
                    break
                ttft_ms = ttft_ms if ttft_ms is not None else (time.monotonic() - submitted_at) * 1000
                text, shown = text + piece, shown + 1
                handle.deliver(piece)
                self._count(request, step_s=answer.gap_s)
            self._leave_place(request, answer_s=time.monotonic() - submitted_at - queued_ms / 1000)
            ended: FinishReason = "error" if answer.error else "length" if len(answer.pieces) > limit else "stop"
            reason = reason or ended
        output = GenerationOutput(
            text=text,
            finish_reason=reason,
            prompt_tokens=prompt_tokens,
            completion_tokens=shown,
            queued_ms=queued_ms,
            ttft_ms=ttft_ms,
            total_ms=(time.monotonic() - submitted_at) * 1000,
            model_version=version,
            error_code=answer.error if reason == "error" else "",
            logprobs=(0.0,) * shown if request.logprobs else (),
        )
        with self._lock:
            self._open.pop(handle, None)
            self._lock.notify_all()
        handle.finish(replace(output, alternatives=(output,) * (request.alternatives - 1)))

    def _wait_for_place(self, handle: GenerationHandle, *, deadline_at: float) -> FinishReason | None:
        """Wait until this request is the first in line and all its answers have a place."""
        places = handle.request.alternatives
        with self._lock:
            while not (reason := _ended(handle, deadline_at=deadline_at)):
                if self._line[0] is handle and self._running + places <= self._max_running:
                    self._running += places
                    break
                self._lock.wait(LOOK_S)
            self._line.remove(handle)
        return reason

    def _count(self, request: GenerationRequest, *, step_s: float) -> None:
        with self._lock:
            self._tokens_total += request.alternatives
            self._pace.add(step_s=step_s, rows=request.alternatives)

    def _leave_place(self, request: GenerationRequest, *, answer_s: float) -> None:
        with self._lock:
            self._running -= request.alternatives
            self._answer_time.add(answer_s)
            self._lock.notify_all()

    @staticmethod
    def _pause(handle: GenerationHandle, gap_s: float, *, deadline_at: float) -> FinishReason | None:
        """Wait `gap_s`, but look for a cancel or the deadline meanwhile."""
        until = time.monotonic() + gap_s
        while not (reason := _ended(handle, deadline_at=deadline_at)) and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_S))
        return reason


def _ended(handle: GenerationHandle, *, deadline_at: float) -> FinishReason | None:
    if handle.cancelled:
        return "cancelled"
    return "deadline" if time.monotonic() >= deadline_at else None
