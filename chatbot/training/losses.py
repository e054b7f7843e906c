"""How far off a version finds the approved answers: the mean loss of their tokens, with the weights that serve chat. One pass.

The answers are read, not written, so this tells small differences that right and wrong do not show.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chatbot.engine.kv_cache import SlotCache
from chatbot.engine.loading import load_model
from chatbot.engine.lora import AdapterSet
from chatbot.engine.requests import ChatMessage
from chatbot.engine.runner import Runner
from chatbot.engine.sampling import token_logprobs
from chatbot.engine.scheduler import Job, Segment

ADAPTER = "candidate"


def write_losses(
    prompts: Sequence[Mapping[str, Any]],
    out: Path,
    *,
    model: Path,
    adapter: Path | None,
    device: str,
    dtype: str,
    context_tokens: int,
) -> None:
    """A line of `out`: {"id", "loss", "tokens"}, loss summed over the tokens of the prompt's "completion" and its end.

    What does not fit into the context has no line. Raises EngineError.
    """
    with out.open("a", encoding="utf-8") as file:
        for line in _losses(prompts, model=model, adapter=adapter, device=device, dtype=dtype, context_tokens=context_tokens):
            file.write(json.dumps(line) + "\n")
            file.flush()


def _losses(
    prompts: Sequence[Mapping[str, Any]], *, model: Path, adapter: Path | None, device: str, dtype: str, context_tokens: int
) -> Iterator[dict[str, Any]]:
    cache = SlotCache()
    try:
        loaded = load_model(model, device=device, dtype=dtype, attention=cache.attention_name)
        adapters = AdapterSet(loaded.model)
        runner = Runner(loaded.model, cache, device=device, adapters=adapters)
        runner.probe()
        context = min(context_tokens, loaded.context_tokens)
        cache.allocate(slots=1, context=context)
        if adapter:
            adapters.load(ADAPTER, adapter, base=model.name)
        end = [loaded.tokenizer.eos_token_id] if loaded.tokenizer.eos_token_id is not None else []
        before: list[int] = []
        for prompt in prompts:
            asked, _ = loaded.chat.encode([ChatMessage(**message) for message in prompt["messages"]])
            wanted = loaded.tokenizer.encode(prompt["completion"], add_special_tokens=False) + end
            if asked and wanted and len(asked) + len(wanted) <= context:
                # The rows of the question before this one stand in the slot: what both begin with is not computed again.
                same = min(_same(before, asked), len(asked) - 1)
                logprobs = _read(runner, asked, wanted, start=same, adapter=ADAPTER if adapter else "")
                before = asked + wanted[:-1]
                yield {"id": prompt["id"], "loss": round(-sum(logprobs), 5), "tokens": len(wanted)}
    finally:
        cache.close()


def _read(runner: Runner, asked: list[int], wanted: list[int], *, start: int, adapter: str) -> list[float]:
    """The logarithm of each wanted token's probability after all before it."""
    job = Job(0, "", asked + wanted[:-1], 1, slot=0, adapter=adapter)
    logits = runner.step([Segment(job, start, job.tokens[start:], len(wanted))])
    assert logits is not None  # there is a row for each wanted token
    return token_logprobs(logits, wanted)


def _same(a: Sequence[int], b: Sequence[int]) -> int:
    return next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
