"""However the rows of a step are laid out, they compute the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, FalconConfig, MambaConfig, PretrainedConfig

from chatbot.engine.kv_cache import SlotCache
from chatbot.engine.loading import load_model
from chatbot.engine.requests import EngineError
from chatbot.engine.runner import Runner
from chatbot.engine.scheduler import Job, Segment
from tests.engine.conftest import DEVICE, SHAPES
from tests.engine.tiny_models import SHAPE

SLOTS, CONTEXT = 6, 128


def make_runner(folder: Path, *, dtype: str = "float32", graphs: bool = False, batched: bool = False) -> Runner:
    cache = SlotCache()
    model = load_model(folder, device=DEVICE, dtype=dtype, attention=cache.attention_name).model
    return prepared(Runner(model, cache, device=DEVICE, graphs=graphs), batched=batched)


def prepared(runner: Runner, *, batched: bool = False) -> Runner:
    runner.probe()
    runner.batch_short_spans = batched
    runner.cache.allocate(slots=SLOTS, context=CONTEXT)
    return runner


def texts(*lengths: int) -> list[Job]:
    generator = torch.Generator().manual_seed(3)
    rows = [torch.randint(0, 250, (length,), generator=generator).tolist() for length in lengths]
    return [Job(n, "", row, 1, slot=(5 * n + 2) % SLOTS) for n, row in enumerate(rows)]


def read(runner: Runner, jobs: Sequence[Job], *, last: Sequence[int]) -> torch.Tensor:
    """Read each text but its `last` rows, then those of all texts in one step that asks for the logits of all of them."""
    for job, rows in zip(jobs, last, strict=True):
        runner.step([Segment(job, 0, job.tokens[:-rows], 0)])
    segments = [Segment(job, len(job.tokens) - rows, job.tokens[-rows:], rows) for job, rows in zip(jobs, last, strict=True)]
    logits = runner.step(segments)
    assert logits is not None
    return logits


def by_the_book(folder: Path, jobs: Sequence[Job], *, last: Sequence[int]) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).to(DEVICE)
    with torch.inference_mode():
        return torch.cat([model(torch.tensor([j.tokens], device=DEVICE)).logits[0, -n:] for j, n in zip(jobs, last, strict=True)])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batched", [False, True])
def test_short_and_long_spans_side_by_side(shape: str, batched: bool, tiny_folders: dict[str, Path]) -> None:
    jobs, last = texts(70, 9, 41, 100), (1, 5, 1, 60)
    got = read(make_runner(tiny_folders[shape], batched=batched), jobs, last=last)
    assert torch.allclose(got, by_the_book(tiny_folders[shape], jobs, last=last), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shape", ["gpt2", "qwen2", "mistral", "gemma2"])
def test_decoding_in_fixed_shapes(shape: str, tiny_folders: dict[str, Path]) -> None:
    """Three rows are padded to four and a hundred positions to the whole context, twice through the same captured step."""
    runner = make_runner(tiny_folders[shape], graphs=True)
    for lengths in ((70, 9, 100), (30, 60, 12)):
        jobs = texts(*lengths)
        got = read(runner, jobs, last=(1, 1, 1))
        assert torch.allclose(got, by_the_book(tiny_folders[shape], jobs, last=(1, 1, 1)), rtol=1e-3, atol=1e-3)
    assert runner._graphs is not None and list(runner._graphs._captured) == [(4, CONTEXT)]


@pytest.mark.parametrize("shape", ["llama", "qwen2", "mistral"])
def test_prompts_in_few_digits_are_close(shape: str, tiny_folders: dict[str, Path]) -> None:
    jobs, last = texts(120, 90), (100, 70)
    got = read(make_runner(tiny_folders[shape], dtype="bfloat16"), jobs, last=last)
    wanted = by_the_book(tiny_folders[shape], jobs, last=last)
    assert float((got - wanted).norm() / wanted.norm()) < 0.06


def runner_of(config: PretrainedConfig) -> Runner:
    cache = SlotCache()
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval().to(DEVICE)
    return Runner(model, cache, device=DEVICE)


def test_a_model_with_a_recurrent_state_is_refused() -> None:
    with pytest.raises(EngineError) as refused:
        prepared(runner_of(MambaConfig(hidden_size=32, num_hidden_layers=2, state_size=4, **SHAPE)))
    assert refused.value.code == "unsupported_model"


def test_a_model_that_comes_out_differently_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = runner_of(FalconConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, alibi=True, **SHAPE))
    monkeypatch.setattr(runner, "_alone", lambda texts: torch.randn(len(texts), SHAPE["vocab_size"]))
    with pytest.raises(EngineError, match="off in batches") as refused:
        prepared(runner)
    assert refused.value.code == "unsupported_model"
