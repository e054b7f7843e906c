"""A model of a few kilobytes with all its words, and a dataset of short lessons: a run takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from chatbot.training import manifest
from tests.engine.tiny_models import tiny_tokenizer

COUNTS = {"train": 24, "tuning": 6, "heldout": 6}


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base") / "tiny")


def tiny_model(folder: Path) -> Path:
    tokenizer = tiny_tokenizer()
    torch.manual_seed(7)
    shape = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    config = Qwen2Config(vocab_size=len(tokenizer) + 4, max_position_embeddings=512, tie_word_embeddings=True, **shape)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def lesson(number: int, *, method: str) -> dict[str, Any]:
    prompt = [{"role": "system", "content": "be good"}, {"role": "user", "content": f"say {number}"}]
    line: dict[str, Any] = {"id": manifest.line_sha256(prompt), "prompt": prompt}
    if method == "dpo":
        return {**line, "chosen": f"it is {number % 7}", "rejected": "no"}
    if method == "kto":
        return {**line, "completion": f"it is {number % 7}", "label": number % 2 == 0}
    return {**line, "completion": f"it is {number % 7}"}


def write_dataset(folder: Path, *, counts: dict[str, int] | None = None) -> Path:
    folder.mkdir(parents=True)
    number = 0
    for method in manifest.METHODS:
        for half in manifest.HALVES:
            lines = []
            for _ in range((counts or COUNTS)[half]):
                number += 1
                lines.append(lesson(number, method=method))
            manifest.write_lines(manifest.lines_file(folder, method=method, half=half), lines)
    manifest.write_manifest(folder, {"name": folder.name, "sha256": manifest.content_sha256(folder)})
    return folder


@pytest.fixture
def lessons(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "lessons")
