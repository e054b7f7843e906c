"""What int8 costs in words: the demo company's questions, answered in bfloat16 and in int8 by the same engine.

The bfloat16 answers are then read by both models, and each of their tokens compared: the same first choice? how far apart are the
distributions?
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.generation_child import Job
from benchmarks.generation_workload import quality_prompts
from chatbot.engine.engine import BatchedEngine
from chatbot.engine.loading import load_model, release_memory
from chatbot.engine.requests import ChatMessage, GenerationOutput, GenerationRequest

ANSWER_TOKENS = 80


def run(competitor: str, job: Job) -> dict[str, Any]:
    prompts = quality_prompts(job.settings["questions"])
    exact = answers(job, prompts, dtype="bfloat16")
    quantised = answers(job, prompts, dtype="int8")
    same = [a.tokens == b.tokens for a, b in zip(exact, quantised, strict=True)]
    agreement, divergence, count = compare(job, prompts, exact)
    return {
        "questions": len(prompts),
        "tokens": count,
        "top1": agreement,
        "kl": divergence,
        "identical": statistics.mean(same),
    }


def answers(job: Job, prompts: Sequence[Sequence[ChatMessage]], *, dtype: str) -> list[GenerationOutput]:
    engine = BatchedEngine(
        Path(job.model), device=job.device, dtype=dtype, threads=job.threads, max_running=8, max_waiting=len(prompts)
    )
    engine.start()
    requests = [GenerationRequest("quality", prompt, max_new_tokens=ANSWER_TOKENS, deadline_s=3600) for prompt in prompts]
    handles = [engine.submit(request) for request in requests]
    outputs = [handle.output for handle in handles]
    engine.stop()
    del engine
    release_memory()
    return outputs


def compare(job: Job, prompts: Sequence[Sequence[ChatMessage]], exact: Sequence[GenerationOutput]) -> tuple[float, float, int]:
    """Returns the share of tokens with the same first choice, the mean Kullback-Leibler divergence in nats, and the tokens."""
    torch.set_num_threads(job.threads)
    reference = load_model(Path(job.model), device=job.device, dtype="bfloat16", attention="sdpa")
    quantised = load_model(Path(job.model), device=job.device, dtype="int8", attention="sdpa")
    same, divergence, count = 0, 0.0, 0
    for prompt, answer in zip(prompts, exact, strict=True):
        tokens = [*reference.chat.encode(prompt)[0], *answer.tokens]
        expected, found = (log_probabilities(m.model, tokens, rows=len(answer.tokens)) for m in (reference, quantised))
        same += int((expected.argmax(-1) == found.argmax(-1)).sum())
        divergence += float((expected.exp() * (expected - found)).sum())
        count += len(answer.tokens)
    return same / count, divergence / count, count


@torch.inference_mode()
def log_probabilities(model: Any, tokens: list[int], *, rows: int) -> torch.Tensor:
    """Log probabilities (rows, vocabulary) for the last `rows` of the tokens."""
    logits = model(input_ids=torch.tensor([tokens]), use_cache=False, logits_to_keep=rows + 1).logits[0, :-1]
    return torch.log_softmax(logits.float(), dim=-1)
