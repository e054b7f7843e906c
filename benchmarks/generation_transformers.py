"""The ways transformers itself offers: one chat after the other, one padded batch, and its own continuous batching.

Nothing of our engine is imported here, so its thread settings do not reach these competitors.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, ContinuousBatchingConfig, GenerationConfig

from benchmarks.generation_child import Job
from benchmarks.generation_workload import Chat

# Pages small enough that the shared start fills some of them: the default of 256 would never share it.
CB_PAGE_TOKENS = 32
CB_STEP_TOKENS = 512


class FirstToken:
    """A streamer that only looks at the clock."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def put(self, value: object) -> None:
        self.at.append(time.perf_counter())

    def end(self) -> None:
        return None


def run(competitor: str, job: Job) -> list[dict[str, Any]]:
    torch.set_num_threads(job.threads)
    dtype = torch.bfloat16 if job.dtype == "int8" else getattr(torch, job.dtype)
    loader: Any = AutoModelForCausalLM
    model = loader.from_pretrained(Path(job.model), dtype=dtype, attn_implementation="sdpa", local_files_only=True)
    model = model.to(job.device).eval()
    if competitor == "transformers_cb":
        return asyncio.run(run_continuous(model, job))
    measure = run_sequential if competitor == "sequential" else run_static
    measure(model, [job.warm])
    return [measure(model, chats) for chats in job.rounds]


def run_sequential(model: Any, chats: Sequence[Chat]) -> dict[str, Any]:
    """What a task per message would do."""
    firsts = []
    started = time.perf_counter()
    for chat in chats:
        clock = FirstToken()
        ids = torch.tensor([chat.tokens])
        generate(model, ids, torch.ones_like(ids), new_tokens=chat.new_tokens, streamer=clock)
        firsts.append(clock.at[1] - started)  # the first call is the prompt
    return result(chats, firsts, started)


def run_static(model: Any, chats: Sequence[Chat]) -> dict[str, Any]:
    """All at once, padded on the left to the longest prompt and run to the longest answer; only what was asked counts."""
    width = max(len(chat.tokens) for chat in chats)
    ids = torch.tensor([[0] * (width - len(chat.tokens)) + list(chat.tokens) for chat in chats])
    mask = torch.tensor([[0] * (width - len(chat.tokens)) + [1] * len(chat.tokens) for chat in chats])
    firsts: list[float] = []
    started = time.perf_counter()

    def watch(input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if not firsts:
            firsts.extend([time.perf_counter() - started] * len(chats))
        return scores

    generate(model, ids, mask, new_tokens=max(chat.new_tokens for chat in chats), logits_processor=[watch])
    return result(chats, firsts, started)


def generate(model: Any, ids: torch.Tensor, mask: torch.Tensor, *, new_tokens: int, **settings: Any) -> None:
    lengths = {"max_new_tokens": new_tokens, "min_new_tokens": new_tokens}
    with torch.inference_mode():
        ids, mask = ids.to(model.device), mask.to(model.device)
        model.generate(ids, attention_mask=mask, do_sample=False, pad_token_id=0, **lengths, **settings)


async def run_continuous(model: Any, job: Job) -> list[dict[str, Any]]:
    """transformers' own manager, streaming through result handlers."""
    needed = max(sum(len(chat.tokens) + chat.new_tokens for chat in chats) for chats in job.rounds)
    settings: dict[str, Any] = {"page_size": CB_PAGE_TOKENS} | job.settings
    if job.device == "cpu":  # on a GPU it plans its memory itself
        blocks = 2 * needed // settings["page_size"] + job.chats
        settings = {"num_blocks": blocks, "max_batch_tokens": CB_STEP_TOKENS} | settings
    make: Any = GenerationConfig
    greedy = make(do_sample=False, max_new_tokens=128, eos_token_id=-1, pad_token_id=0)
    manager = model.init_continuous_batching(
        generation_config=greedy, continuous_batching_config=ContinuousBatchingConfig(**settings)
    )
    if job.device != "cpu":
        manager.warmup()
    manager.start()
    try:
        await continuous_round(manager, [job.warm], name="warm")
        return [await continuous_round(manager, chats, name=str(number)) for number, chats in enumerate(job.rounds)]
    finally:
        manager.stop(block=True, timeout=10)


async def continuous_round(manager: Any, chats: Sequence[Chat], *, name: str) -> dict[str, Any]:
    started = time.perf_counter()
    firsts: dict[str, float] = {}
    done = asyncio.Event()
    open_names = {f"{name}-{at}" for at in range(len(chats))}
    problems: list[str] = []

    def arrived(output: Any) -> None:
        if output.generated_tokens:
            firsts.setdefault(output.request_id, time.perf_counter() - started)
        if output.is_finished():
            wanted = chats[int(output.request_id.rpartition("-")[2])].new_tokens
            if len(output.generated_tokens) != wanted:
                problems.append(f"{len(output.generated_tokens)} tokens instead of {wanted}: {output.error}")
            open_names.discard(output.request_id)
            if not open_names:
                done.set()

    for at, chat in enumerate(chats):
        manager.register_result_handler(f"{name}-{at}", arrived)
        manager.add_request(list(chat.tokens), f"{name}-{at}", max_new_tokens=chat.new_tokens, streaming=True, eos_token_id=-1)
    while not done.is_set():
        try:
            await asyncio.wait_for(done.wait(), timeout=5)
        except TimeoutError:
            if not manager.is_running():
                raise RuntimeError("the continuous batching manager ended") from None
    if problems:
        raise RuntimeError(problems[0])
    return result(chats, list(firsts.values()), started)


def result(chats: Sequence[Chat], firsts: list[float], started: float) -> dict[str, Any]:
    wall_s = time.perf_counter() - started
    return {"firsts": firsts, "wall_s": wall_s, "tokens": sum(chat.new_tokens for chat in chats)}
