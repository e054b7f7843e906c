"""A scripted engine behind the same doors as the real one: for tests, never for customers.

Answers come, in this order, from `enqueue`, from the script file, from `compose`, or are a fixed text that cites passage [1].
The script file has one JSON object a line: {"match": part of the customer's last message, "pieces": [...], "gap_s": 0.05,
"error": code or "busy"}; only "match" must be there. It is read again for every request, so a test may rewrite it meanwhile.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

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

SENTENCES = (
    "Thank you for your question. ",
    "This is what our help pages say about it [1]. ",
    "The page behind the number has the details. ",
    "Please write again if anything is unclear. ",
)
BUSY = "busy"


@dataclass(frozen=True)
class ScriptedAnswer:
    """error: a code to fail with after the pieces, or "busy" to refuse the request."""

    pieces: tuple[str, ...]
    gap_s: float
    error: str = ""


class ScriptedEngine:
    """One thread an answer, at most `max_running` at a time; the others wait their turn."""

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
        self.model_version = model_version
        self.context_tokens = context_tokens
        self._pieces_per_answer = pieces_per_answer
        self._gap_s = gap_s
        self._script = script
        self._compose = compose
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._queued: deque[ScriptedAnswer] = deque()
        self._places = threading.Semaphore(max_running)
        self._lock = threading.Lock()
        self._open: dict[GenerationHandle, threading.Thread] = {}
        self._running = 0
        self._tokens_total = 0
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
    def alive(self) -> bool:
        return self._alive

    def start(self) -> None:
        self._alive = True

    def submit(self, request: GenerationRequest) -> GenerationHandle:
        prompt_tokens = self.count_tokens(request.messages)
        if prompt_tokens >= self.context_tokens:
            raise PromptTooLong(prompt_tokens, self.context_tokens)
        handle = GenerationHandle(request)
        with self._lock:
            if not self._alive:
                raise EngineError("engine_stopped", "the engine is not running")
            if len(self._open) >= self._max_running + self._max_waiting:
                raise EngineBusy(1.0)
            answer = self._queued.popleft() if self._queued else self._scripted(request)
            if answer.error == BUSY:
                raise EngineBusy(1.0)
            thread = threading.Thread(target=self._play, args=(handle, answer, prompt_tokens), daemon=True)
            self._open[handle] = thread
        thread.start()
        return handle

    def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """About four characters a token, and four tokens a message for its frame."""
        return sum(4 + len(message.content) // 4 for message in messages)

    def stats(self) -> EngineStats:
        with self._lock:
            waiting = len(self._open) - self._running
            return EngineStats(waiting, self._running, self._max_running, self._tokens_total, self.model_version)

    def stop(self) -> None:
        with self._lock:
            self._alive = False
            threads = dict(self._open)
        for handle, thread in threads.items():
            handle.cancel()
            thread.join()

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

    def _play(self, handle: GenerationHandle, answer: ScriptedAnswer, prompt_tokens: int) -> None:
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
            self._leave_place(shown)
            ended: FinishReason = "error" if answer.error else "length" if len(answer.pieces) > limit else "stop"
            reason = reason or ended
        with self._lock:
            self._open.pop(handle, None)
        handle.finish(
            GenerationOutput(
                text=text,
                finish_reason=reason,
                prompt_tokens=prompt_tokens,
                completion_tokens=shown,
                queued_ms=queued_ms,
                ttft_ms=ttft_ms,
                total_ms=(time.monotonic() - submitted_at) * 1000,
                model_version=self.model_version,
                error_code=answer.error if reason == "error" else "",
            )
        )

    def _wait_for_place(self, handle: GenerationHandle, *, deadline_at: float) -> FinishReason | None:
        while not self._places.acquire(timeout=0.005):
            if reason := _ended(handle, deadline_at=deadline_at):
                return reason
        with self._lock:
            self._running += 1
        return None

    def _leave_place(self, shown: int) -> None:
        with self._lock:
            self._running -= 1
            self._tokens_total += shown
        self._places.release()

    @staticmethod
    def _pause(handle: GenerationHandle, gap_s: float, *, deadline_at: float) -> FinishReason | None:
        """Wait `gap_s`, but look for a cancel or the deadline meanwhile."""
        until = time.monotonic() + gap_s
        while not (reason := _ended(handle, deadline_at=deadline_at)) and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.005))
        return reason


def _ended(handle: GenerationHandle, *, deadline_at: float) -> FinishReason | None:
    if handle.cancelled:
        return "cancelled"
    return "deadline" if time.monotonic() >= deadline_at else None
