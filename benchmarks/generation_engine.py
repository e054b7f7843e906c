"""The product's own engine as a competitor: as many answers at once as there are chats, everything else as in production."""

from __future__ import annotations

import importlib
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.generation_child import Job
from benchmarks.generation_workload import Chat
from chatbot.engine.engine import BatchedEngine
from chatbot.engine.requests import ChatMessage, GenerationOutput, GenerationRequest


@dataclass
class Asked:
    """One answer as its reader saw it; times are seconds from `submit`. pieces: steps that brought text."""

    first_s: float = 0.0
    total_s: float = 0.0
    pieces: int = 0
    output: GenerationOutput | None = None


class EndlessEngine(BatchedEngine):
    """The product's engine, but no token ends an answer, so that all competitors write equally many.

    natural_stops: the tokens that would have.
    """

    natural_stops: frozenset[int] = frozenset()


def start_engine(job: Job, **settings: Any) -> EndlessEngine:
    """Start the engine and ask the warm-up request as two customers: only then the engine knows that all share its start."""
    engine_module: Any = importlib.import_module("chatbot.engine.engine")
    found_stops: set[int] = set()
    load = engine_module.load_model

    def load_endless(*args: Any, **kwargs: Any) -> Any:
        loaded = load(*args, **kwargs)
        found_stops.update(loaded.stop_tokens)
        return replace(loaded, stop_tokens=frozenset())

    engine_module.load_model = load_endless
    try:
        engine = EndlessEngine(Path(job.model), device=job.device, dtype=job.dtype, threads=job.threads, **settings)
        engine.start()
    finally:
        engine_module.load_model = load
    engine.natural_stops = frozenset(found_stops)
    for name in ("first", "second"):
        ask(engine, job.warm, conversation=name)
    return engine


def ask(engine: BatchedEngine, chat: Chat, *, conversation: str = "", asked: Asked | None = None) -> Asked:
    """Ask and read to the end. Raises RuntimeError when the answer has another length than the others'."""
    asked = asked or Asked()
    started = time.perf_counter()
    request = GenerationRequest(
        "benchmark", chat.messages, max_new_tokens=chat.new_tokens, deadline_s=3600, conversation=conversation
    )
    handle = engine.submit(request)
    for _ in handle:
        asked.pieces += 1
        asked.first_s = asked.first_s or time.perf_counter() - started
    asked.total_s = time.perf_counter() - started
    asked.output = handle.output
    return asked


def ask_together(engine: BatchedEngine, chats: Sequence[Chat]) -> tuple[list[Asked], float]:
    answers = [Asked() for _ in chats]
    threads = [
        threading.Thread(target=ask, args=(engine, chat), kwargs={"asked": asked})
        for chat, asked in zip(chats, answers, strict=True)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers, time.perf_counter() - started


def run(competitor: str, job: Job) -> list[dict[str, Any]]:
    """Rounds of chats; each also tells how many tokens a step brought, and how many lay beyond the answer's natural end."""
    engine = start_engine(job, max_running=job.chats, **job.settings)
    try:
        return [measure_round(engine, chats) for chats in job.rounds]
    finally:
        engine.stop()


def measure_round(engine: EndlessEngine, chats: Sequence[Chat]) -> dict[str, Any]:
    answers, wall_s = ask_together(engine, chats)
    outputs = [asked.output for asked in answers]
    for chat, output in zip(chats, outputs, strict=True):
        if output is None or output.completion_tokens != chat.new_tokens or output.prompt_tokens != len(chat.tokens):
            raise RuntimeError(f"an answer is not what was asked for: {output and replace(output, text='', tokens=())}")
    tokens = sum(chat.new_tokens for chat in chats)
    stops = engine.natural_stops
    beyond = sum(tokens_beyond_end(output.tokens, stops) for output in outputs if output)
    return {
        "firsts": [asked.first_s for asked in answers],
        "wall_s": wall_s,
        "tokens": tokens,
        "tokens_per_step": tokens / sum(asked.pieces for asked in answers),
        "beyond_end": beyond / tokens,
    }


def tokens_beyond_end(tokens: Sequence[int], stops: frozenset[int]) -> int:
    """Tokens after the first one that would have ended the answer."""
    end = next((at for at, token in enumerate(tokens) if token in stops), len(tokens))
    return len(tokens) - end


def measure_alone(engine: EndlessEngine, chats: Sequence[Chat]) -> dict[str, Any]:
    """One chat after the other, each alone."""
    answers = [ask(engine, chat) for chat in chats]
    speeds = [(chat.new_tokens - 1) / (asked.total_s - asked.first_s) for chat, asked in zip(chats, answers, strict=True)]
    per_step = statistics.mean(chat.new_tokens / asked.pieces for chat, asked in zip(chats, answers, strict=True))
    stops = engine.natural_stops
    beyond = sum(tokens_beyond_end(asked.output.tokens, stops) for asked in answers if asked.output)
    return {
        "firsts": [asked.first_s for asked in answers],
        "speeds": speeds,
        "tokens_per_step": per_step,
        "beyond_end": beyond / sum(chat.new_tokens for chat in chats),
    }


def later_turn(engine: BatchedEngine, said: Sequence[str], *, system: ChatMessage) -> tuple[float, float, int]:
    """Hold a conversation. Returns seconds to the first token of its last turn with reuse and without, and its prompt tokens."""
    history = [system]
    for text in said[:-1]:
        history.append(ChatMessage("user", text))
        answer = ask(engine, Chat(history, (), 32), conversation="alice").output
        assert answer is not None
        history.append(ChatMessage("assistant", answer.text))
    history.append(ChatMessage("user", said[-1]))
    # Without first: it leaves alice's slot alone, and nobody else's text is reused.
    without = ask(engine, Chat(history, (), 4), conversation="somebody else")
    reused = ask(engine, Chat(history, (), 4), conversation="alice")
    assert reused.output is not None
    return reused.first_s, without.first_s, reused.output.prompt_tokens
