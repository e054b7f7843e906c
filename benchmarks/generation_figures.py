"""What the engine says of itself: start, one chat alone, a later turn, stop, memory."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.generation_child import Job
from benchmarks.generation_engine import ask_together, later_turn, measure_alone, start_engine
from benchmarks.generation_workload import SYSTEM, Chat, conversation_turns
from chatbot.engine.engine import BatchedEngine
from chatbot.engine.requests import GenerationHandle, GenerationRequest

RUNNING = 16
WAITING = 200
STOPS = 5
# Longer than anybody waits for here.
LONG_ANSWER = 1500


def run(competitor: str, job: Job) -> dict[str, Any]:
    """The job's first round is for the memory, its second holds the chats that run alone."""
    crowd, alone = job.rounds
    engine = start_engine(job, max_running=RUNNING, max_waiting=WAITING)
    found: dict[str, Any] = {"start_s": time.time() - float(os.environ["BENCHMARK_SPAWNED_AT"])}
    try:
        found["alone"] = measure_alone(engine, alone)
        reuse_s, without_s, tokens = later_turn(engine, conversation_turns(), system=SYSTEM)
        found |= {"turn_reuse_s": reuse_s, "turn_without_s": without_s, "turn_prompt_tokens": tokens}
        found |= measure_crowd(engine, crowd)
    finally:
        engine.stop()
    return found


def measure_crowd(engine: BatchedEngine, crowd: list[Chat]) -> dict[str, float]:
    """Resident memory before, with all running, and with 200 more waiting; then how fast one of the running stops."""
    ask_together(engine, crowd[:1])
    before = resident_bytes()
    running = submit_all(engine, crowd, new_tokens=LONG_ANSWER)
    wait_until_writing(running)
    seated = resident_bytes()
    waiting = submit_all(engine, [crowd[at % len(crowd)] for at in range(WAITING)], new_tokens=64)
    time.sleep(0.2)
    state = engine.stats()
    if (state.running, state.waiting) != (RUNNING, WAITING):
        raise RuntimeError(f"{state.running} run and {state.waiting} wait instead of {RUNNING} and {WAITING}")
    with_waiting = resident_bytes()
    cancel_all(waiting)
    memory = {
        "resident_gib": seated / 2**30,
        "running_mib": (seated - before) / len(crowd) / 2**20,
        "waiting_mib": (with_waiting - seated) / 2**20,
    }
    return memory | measure_stops(engine, crowd, handles=running)


def measure_stops(engine: BatchedEngine, crowd: list[Chat], *, handles: list[GenerationHandle]) -> dict[str, float]:
    """Cancel one of 16 that all write, take another in, and again."""
    stop_ms, steps = [], []
    for at in range(STOPS):
        wait_until_writing(handles)
        time.sleep(0.05 * at)  # at another point of a step each time
        before = engine.stats().steps_total
        started = time.perf_counter()
        handles[0].cancel()
        handles[0].output  # noqa: B018
        stop_ms.append((time.perf_counter() - started) * 1000)
        steps.append(engine.stats().steps_total - before)
        handles = [*handles[1:], *submit_all(engine, crowd[at : at + 1], new_tokens=LONG_ANSWER)]
    cancel_all(handles)
    return {"stop_ms": max(stop_ms), "stop_p50_ms": statistics.median(stop_ms), "stop_steps": max(steps)}


def submit_all(engine: BatchedEngine, chats: list[Chat], *, new_tokens: int) -> list[GenerationHandle]:
    return [
        engine.submit(GenerationRequest(f"figure {at}", chat.messages, max_new_tokens=new_tokens, deadline_s=3600))
        for at, chat in enumerate(chats)
    ]


def wait_until_writing(handles: list[GenerationHandle]) -> None:
    """Wait for every handle's next piece, and drop what came meanwhile."""
    for handle in handles:
        if next(iter(handle), None) is None:
            raise RuntimeError(f"an answer ended too early: {handle.output.finish_reason} {handle.output.error_code}")
        while handle.next_piece(timeout_s=0):
            pass


def cancel_all(handles: list[GenerationHandle]) -> None:
    for handle in handles:
        handle.cancel()
    for handle in handles:
        handle.output  # noqa: B018


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
