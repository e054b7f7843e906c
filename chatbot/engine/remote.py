"""An engine whose model runs elsewhere, behind any OpenAI-compatible server (vLLM, SGLang, llama.cpp and others).

The queue, the number of answers at once, deadlines and cancels are ours, whatever the server does. One thread runs an event loop
with one task an answer. A server that is away fails the requests of that time with `engine_unreachable` and nothing else: the
engine stays alive, looks for the server again, and tells no slots meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Coroutine, Sequence
from concurrent.futures import CancelledError
from contextlib import aclosing, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from chatbot.engine.measures import AnswerTime
from chatbot.engine.remote_answer import FINISH_REASONS, RemoteAnswer, Written, estimate_tokens
from chatbot.engine.remote_chat import ChatServer, Patience, Refused, choose_model
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
from chatbot.engine.scheduler import Job, QueueFull, Scheduler
from chatbot.engine.versions import Versions

logger = logging.getLogger(__name__)

# How often running answers are looked at for a cancel or their deadline.
WATCH_S = 0.02
# How often the server is asked whether it is there.
PROBE_S = 5.0
# Pauses before a request that was refused at the door is sent again.
RETRY_PAUSES_S = (0.25, 1.0)
STOP_TIMEOUT_S = 10.0
ASK_TIMEOUT_S = 30.0
KEPT_COUNTS = 64


class RemoteEngine:
    """See Engine in requests.py for the doors. context_tokens: used where the server does not tell its own."""

    def __init__(
        self,
        url: str,
        *,
        model: str = "",
        api_key: str = "",
        max_running: int = 8,
        max_waiting: int = 64,
        context_tokens: int = 4096,
        patience: Patience | None = None,
    ) -> None:
        self.context_tokens = context_tokens
        self._versions = Versions(model)
        self._server = ChatServer(url, api_key=api_key, patience=patience)
        self._scheduler = Scheduler(max_running=max_running, max_waiting=max_waiting)
        self._answers: dict[int, RemoteAnswer] = {}
        self._ids = count(1)
        self._lock = threading.Lock()
        self._counts: OrderedDict[tuple[ChatMessage, ...], int] = OrderedDict()
        self._counter: Any = None
        self._maker = ""
        self._duties: set[asyncio.Task[None]] = set()
        self._reachable = False
        self._alive = False
        self._tokens_total = 0
        self._answer_time = AnswerTime()

    # Doors, for any thread

    @property
    def model_version(self) -> str:
        return self._versions.live

    @property
    def versions(self) -> tuple[str, ...]:
        with self._lock:
            return self._versions.names

    @property
    def alive(self) -> bool:
        """True between start and stop: a new worker could reach the server no better than this one."""
        return self._alive

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run_loop, name="remote engine", daemon=True)
        self._thread.start()
        try:
            self._ask(self._discover())
        except BaseException:
            self._end_loop()
            raise
        self._alive = self._reachable = True

    def submit(self, request: GenerationRequest) -> GenerationHandle:
        check_request(request, slots=self._scheduler.max_running)
        if not self._alive:
            raise EngineError("engine_stopped", "the engine is not running")
        prompt_tokens, room = self._room_for(request)
        limit = max(0, min(request.max_new_tokens, room))
        siblings = [Job(0, request.conversation, [], limit) for _ in range(request.alternatives - 1)]
        job = Job(next(self._ids), request.conversation, [], limit, siblings=siblings)
        written = [Written() for _ in range(request.alternatives)]
        handle = GenerationHandle(request)
        with self._lock:
            if not self._alive:
                raise EngineError("engine_stopped", "the engine is not running")
            version = self._versions.choose(request.version)
            answer = RemoteAnswer(job, handle, version, prompt_tokens, time.monotonic(), written)
            try:
                self._scheduler.enqueue(job)
            except QueueFull:
                ahead, places = self._scheduler.places_ahead, self._scheduler.max_running
                raise EngineBusy(self._answer_time.retry_after_s(places_ahead=ahead, places=places)) from None
            self._answers[job.job_id] = answer
            self._loop.call_soon_threadsafe(self._admit)
        return handle

    def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        """Ask the server where it can count and answers; else `estimate_tokens`."""
        key = tuple(messages)
        if (known := self._known_count(key)) is not None:
            return known
        if self._counter is None or not self._alive or not self._reachable:
            return estimate_tokens(messages)
        try:
            counted = int(self._ask(self._counter(self._versions.base, messages)))
        except EngineError as error:
            logger.warning("the model server did not count a prompt (%s)", error.code)
            return estimate_tokens(messages)
        if not counted:
            return estimate_tokens(messages)
        with self._lock:
            self._counts[key] = counted
            if len(self._counts) > KEPT_COUNTS:
                self._counts.popitem(last=False)
        return counted

    def load_version(self, name: str, folder: Path) -> None:
        """Take in an adapter that the server has loaded under `name`; `folder` may lie on another machine."""
        with self._lock:
            self._versions.check_new(name)
        if name not in self._ask(self._server.models()):
            raise EngineError(
                "version_not_served",
                f"the model server does not serve {name!r}: load {folder} there under this name (docs/operations.md)",
            )
        with self._lock:
            self._versions.add(name)

    def drop_version(self, name: str) -> None:
        with self._lock:
            self._versions.close(name)
            self._versions.forget(name)

    def make_live(self, name: str) -> None:
        with self._lock:
            self._versions.make_live(name)

    def stats(self) -> EngineStats:
        """slots is 0 while the server is away: nothing can be written."""
        with self._lock:
            return EngineStats(
                waiting=self._scheduler.waiting_count,
                running=len(self._scheduler.running),
                slots=self._scheduler.max_running if self._reachable else 0,
                tokens_total=self._tokens_total,
                model_version=self._versions.live,
            )

    def stop(self) -> None:
        with self._lock:
            if not self._alive:
                return
            self._alive = False
        with suppress(EngineError):
            self._ask(self._cancel_all())
        self._end_loop()

    # Between the threads

    def _ask(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run on the loop what a caller waits for. Every such work has its own time limit; ours is for a loop that has ended."""
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result(ASK_TIMEOUT_S)
        except (TimeoutError, CancelledError) as error:
            raise EngineError("engine_stopped", "the engine is not running") from error

    def _room_for(self, request: GenerationRequest) -> tuple[int, int]:
        """Prompt tokens, 0 when nobody has counted them, and room for the answer. Raises PromptTooLong.

        A token is at least one byte, so a short text needs no counting; that saves a question to the server.
        """
        most = sum(len(message.content.encode(errors="replace")) + 64 for message in request.messages) + 256
        if most + request.max_new_tokens <= self.context_tokens:
            return self._known_count(tuple(request.messages)) or 0, request.max_new_tokens
        prompt_tokens = self.count_tokens(request.messages)
        if prompt_tokens >= self.context_tokens:
            raise PromptTooLong(prompt_tokens, self.context_tokens)
        return prompt_tokens, self.context_tokens - prompt_tokens

    def _known_count(self, messages: tuple[ChatMessage, ...]) -> int | None:
        with self._lock:
            return self._counts.get(messages)

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._work = asyncio.Event()
        for duty in (self._watch, self._probe):
            self._duties.add(self._loop.create_task(duty()))
        self._loop.run_forever()
        rest = asyncio.all_tasks(self._loop)
        for task in rest:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*rest, self._server.close(), return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_TIMEOUT_S)

    # On the event loop

    async def _discover(self) -> None:
        """Choose the model and learn what the server can. Raises EngineError naming the variable to correct."""
        self._server.open()
        served = await self._server.models()
        chosen = choose_model(self._versions.base, served)
        self._versions = Versions(chosen.name)
        self._maker = chosen.maker
        self.context_tokens = chosen.context_tokens or await self._server.slot_context() or self.context_tokens
        probe = [ChatMessage("user", "a")]
        for counter in (self._server.count_by_messages, self._server.count_by_template):
            if await counter(chosen.name, probe):
                self._counter = counter
                break
        logger.info("model %s at %s, %d tokens of context", chosen.name, self._server.url, self.context_tokens)

    def _admit(self) -> None:
        with self._lock:
            admitted = [self._answers[job.job_id] for job in self._scheduler.admit() if job.job_id in self._answers]
        for answer in admitted:
            answer.admitted_at = time.monotonic()
            answer.task = self._loop.create_task(self._serve(answer))
            answer.task.add_done_callback(partial(self._served, answer))
        self._work.set()

    async def _watch(self) -> None:
        """End answers that were cancelled or are past their deadline."""
        while True:
            await self._work.wait()
            with self._lock:
                answers = list(self._answers.values())
            for answer in answers:
                if answer.handle.cancelled:
                    self._end(answer, "cancelled")
                elif time.monotonic() >= answer.submitted_at + answer.request.deadline_s:
                    self._end(answer, "deadline")
            if not answers:
                self._work.clear()
            await asyncio.sleep(WATCH_S)

    def _end(self, answer: RemoteAnswer, reason: FinishReason) -> None:
        """Stop an answer. A running one closes its connection first, so that the server stops computing."""
        if answer.ending is None:
            answer.ending = reason
            if answer.task is None:
                self._finish(answer, reason)
            else:
                answer.task.cancel()

    async def _cancel_all(self) -> None:
        with self._lock:
            answers = list(self._answers.values())
        for answer in answers:
            self._end(answer, "cancelled")
        await asyncio.gather(*(answer.task for answer in answers if answer.task is not None), return_exceptions=True)

    async def _probe(self) -> None:
        """Notice that the server is away, and that it is back, also while nobody asks."""
        while True:
            await asyncio.sleep(PROBE_S)
            try:
                await self._server.models()
                self._notice(reachable=True)
            except EngineError as error:
                self._notice(reachable=error.code not in ("engine_unreachable", "engine_stalled", "engine_cut_off"))

    def _notice(self, *, reachable: bool) -> None:
        if reachable != self._reachable and self._alive:
            logger.warning("the model server at %s %s", self._server.url, "is back" if reachable else "is away")
        self._reachable = reachable

    async def _serve(self, answer: RemoteAnswer) -> tuple[FinishReason, str]:
        """Write one answer; return how it ended and the error's code. Whatever happens ends this answer and no other."""
        try:
            if answer.job.max_new_tokens > 0:
                await self._generate(answer)
                self._notice(reachable=True)
            return FINISH_REASONS[answer.written[0].finish_reason or "length"], ""
        except EngineError as error:
            logger.warning("request %s failed (%s): %s", answer.request.request_id, error.code, error)
            if error.code == "engine_unreachable":
                self._notice(reachable=False)
            return "error", error.code
        except Exception as error:
            logger.error("request %s failed: %s", answer.request.request_id, type(error).__name__)
            return "error", "engine_failed"

    def _served(self, answer: RemoteAnswer, task: asyncio.Task[tuple[FinishReason, str]]) -> None:
        """Finish an answer whose task is over, also one that was cancelled before it took its first step."""
        reason, code = (answer.ending or "cancelled", "") if task.cancelled() else task.result()
        self._finish(answer, reason, error_code=code)

    async def _generate(self, answer: RemoteAnswer) -> None:
        """Ask the server; once more only where it did not begin and says so. Raises EngineError."""
        body = answer.body(maker=self._maker, base=self._versions.base)
        pauses_s = RETRY_PAUSES_S if self._reachable else ()  # a server known to be away gets one try
        for pause_s in (*pauses_s, None):
            try:
                stream = self._server.chat(body, max_tokens=answer.job.max_new_tokens * len(answer.written))
                async with aclosing(stream) as events:
                    async for event in events:
                        answer.take(event)
                break
            except Refused as error:
                if pause_s is None or not error.again or answer.first_piece_at is not None:
                    raise
                await asyncio.sleep(pause_s)
            except EngineError as error:
                if error.code == "engine_cut_off" and all(written.finish_reason for written in answer.written):
                    break  # all was said; only the farewell is missing
                raise
        if any(written.finish_reason not in FINISH_REASONS for written in answer.written):
            raise EngineError("engine_cut_off", "the model server gave no whole answer")

    def _finish(self, answer: RemoteAnswer, reason: FinishReason, *, error_code: str = "") -> None:
        """End a request: its place is free and its output delivered."""
        output = answer.output(reason, error_code=error_code)
        with self._lock:
            self._answers.pop(answer.job.job_id, None)
            for job in answer.jobs:
                self._scheduler.remove(job)
            self._tokens_total += sum(part.completion_tokens for part in (output, *output.alternatives))
            if answer.admitted_at is not None:
                self._answer_time.add(time.monotonic() - answer.admitted_at)
        answer.handle.finish(output)
        self._admit()
