from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from chatbot import runtime
from chatbot.engine.fake import ScriptedEngine
from chatbot.releases import following, versions
from chatbot.releases.models import ModelVersion

LAYER = "model.layers.0.self_attn.q_proj"


@pytest.fixture(autouse=True)
def models_dir(tmp_path: Path, settings: Any) -> Path:
    settings.MODELS_DIR = tmp_path / "models"
    settings.ENGINE = "scripted"
    return tmp_path / "models"


@pytest.fixture(autouse=True)
def fresh_follower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_failure", None)
    monkeypatch.setattr(following, "_thread", None)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedEngine]:
    made = ScriptedEngine(gap_s=0, model_version="house-model")
    made.start()
    monkeypatch.setattr(runtime, "_engine", made)
    yield made
    made.stop()


@pytest.fixture
def base(db: None) -> ModelVersion:
    """The base weights, live."""
    return versions.record_loaded("house-model", folder=None)


@pytest.fixture
def make_adapter(tmp_path: Path) -> Callable[..., Path]:
    """Write a right adapter of one layer; `value` makes its bytes its own."""

    def make(name: str = "tuned", *, value: float = 1.0, hidden: int = 8) -> Path:
        folder = tmp_path / "made" / name
        folder.mkdir(parents=True)
        config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
        (folder / "adapter_config.json").write_text(json.dumps(config))
        matrices = {"A": np.full((2, hidden), value, np.float32), "B": np.full((hidden, 2), value, np.float32)}
        save_file(
            {f"base_model.model.{LAYER}.lora_{side}.weight": matrix for side, matrix in matrices.items()},
            folder / "adapter_model.safetensors",
        )
        (folder / "README.md").write_text("not taken")
        return folder

    return make
