"""llama.cpp's server as a competitor: the same prompt tokens and lengths over its streaming HTTP interface."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.generation_child import Job
from benchmarks.generation_workload import NEW_TOKENS, PROMPT_TOKENS, Chat
from benchmarks.llama_server import running_server, stream_completion

SLOT_TOKENS = -(-(PROMPT_TOKENS[1] + NEW_TOKENS[1]) // 256) * 256


def run(competitor: str, job: Job) -> list[dict[str, Any]] | dict[str, Any]:
    """Rounds of chats together; with the setting `alone` the chats of the first round one after the other."""
    alone = bool(job.settings.get("alone"))
    server = running_server(
        Path(job.settings["server"]),
        gguf=Path(job.settings["gguf"]),
        slots=1 if alone else job.chats,
        slot_tokens=SLOT_TOKENS,
        threads=job.threads,
        cuda=job.device != "cpu",
    )
    with server as port:
        for _ in range(2):
            ask(port, job.warm)
        if alone:
            return measure_alone(port, job.rounds[0])
        return [measure_round(port, chats) for chats in job.rounds]


def ask(port: int, chat: Chat) -> tuple[float, float]:
    """Returns seconds to the first token and to the end."""
    started = time.perf_counter()
    first_s, tokens = 0.0, 0
    for event in stream_completion(port, chat.tokens, new_tokens=chat.new_tokens):
        if event.get("tokens"):
            tokens += len(event["tokens"])
            first_s = first_s or time.perf_counter() - started
        if event.get("stop") and event.get("tokens_predicted", chat.new_tokens) != chat.new_tokens:
            raise RuntimeError(f"{event['tokens_predicted']} tokens came instead of {chat.new_tokens}")
    if not tokens:
        raise RuntimeError("llama-server sent no tokens")
    return first_s, time.perf_counter() - started


def measure_round(port: int, chats: Sequence[Chat]) -> dict[str, Any]:
    firsts: list[float] = []
    threads = [threading.Thread(target=lambda chat=chat: firsts.append(ask(port, chat)[0])) for chat in chats]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall_s = time.perf_counter() - started
    if len(firsts) != len(chats):
        raise RuntimeError(f"{len(firsts)} of {len(chats)} chats were answered")
    return {"firsts": firsts, "wall_s": wall_s, "tokens": sum(chat.new_tokens for chat in chats)}


def measure_alone(port: int, chats: Sequence[Chat]) -> dict[str, Any]:
    times = [ask(port, chat) for chat in chats]
    speeds = [(chat.new_tokens - 1) / (total_s - first_s) for chat, (first_s, total_s) in zip(chats, times, strict=True)]
    return {"firsts": [first_s for first_s, _ in times], "speeds": speeds}
