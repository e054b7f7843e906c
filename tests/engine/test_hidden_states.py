"""A layer's state at the end of a prompt, as transformers itself tells it, whatever runs beside."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from chatbot.engine.engine import BatchedEngine
from chatbot.engine.requests import ChatMessage, GenerationRequest
from tests.engine.conftest import DEVICE

WORDS = ["open", "parcel", "when does the shop open " * 30]


def asked(text: str, *, layer: int | None = 0, new: int = 1) -> GenerationRequest:
    return GenerationRequest("r", [ChatMessage("user", text)], max_new_tokens=new, hidden_layer=layer)


def by_the_book(engine: BatchedEngine, folder: Path, text: str) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).to(DEVICE)
    tokens, _ = engine._loaded.chat.encode([ChatMessage("user", text)])
    with torch.inference_mode():
        return model(torch.tensor([tokens], device=DEVICE), output_hidden_states=True).hidden_states[1][0, -1].cpu()


@pytest.mark.parametrize("shape", ["qwen2", "gemma2"])
def test_the_state_is_the_models_own(make_engine, tiny_folders: dict[str, Path], shape: str) -> None:  # type: ignore[no-untyped-def]
    engine = make_engine(shape)
    writing = engine.submit(asked("a long one", layer=None, new=60))
    for _ in range(2):  # the second time all but the last token is reused
        handles = [engine.submit(asked(text)) for text in WORDS]
        for text, handle in zip(WORDS, handles, strict=True):
            torch.testing.assert_close(
                torch.tensor(handle.output.hidden), by_the_book(engine, tiny_folders[shape], text), atol=1e-4, rtol=1e-3
            )
    assert writing.output.hidden == ()


def test_nothing_is_told_where_there_is_nothing(make_engine) -> None:  # type: ignore[no-untyped-def]
    engine = make_engine("qwen2")
    assert engine.submit(asked("open", layer=99)).output.hidden == ()
    assert engine.submit(asked("open", layer=None)).output.hidden == ()
    several = engine.submit(asked("open", new=5)).output
    assert len(several.hidden) == engine._loaded.model.config.hidden_size, "of the prompt, not of what was written"
    assert several.hidden == engine.submit(asked("open", new=1)).output.hidden
    assert make_engine("gpt2").submit(asked("open")).output.hidden == (), "a model whose layers are named otherwise"
