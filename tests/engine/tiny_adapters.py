"""LoRA adapters of a few kilobytes over the tiny models, saved by peft itself."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

ALL_LINEAR = {
    "gpt2": ["c_attn", "c_proj", "c_fc"],
    "bloom": ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"],
}
ROTARY_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def base_model(model_folder: Path, **settings: Any) -> Any:
    return AutoModelForCausalLM.from_pretrained(model_folder, **{"dtype": torch.float32, **settings}).eval()


def write_adapter(folder: Path, model_folder: Path, *, shape: str = "qwen2", seed: int = 1, **settings: Any) -> Path:
    """Save an adapter with random weights, strong enough to change what the model writes."""
    config = LoraConfig(
        **{
            "task_type": "CAUSAL_LM",
            "r": 4,
            "lora_alpha": 8,
            "target_modules": ALL_LINEAR.get(shape, ROTARY_LINEAR),
            "fan_in_fan_out": shape == "gpt2",
            "lora_dropout": 0.1,
            **settings,
        }
    )
    with peft_of_today():
        model = get_peft_model(base_model(model_folder), config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_" in name:
                parameter.normal_(std=0.3, generator=generator)
    model.save_pretrained(folder)
    return folder


def with_adapter(model_folder: Path, adapter: Path) -> Any:
    """The same by peft: what every answer is held against."""
    with peft_of_today():
        return PeftModel.from_pretrained(base_model(model_folder), adapter).eval()


@contextmanager
def peft_of_today() -> Iterator[None]:
    """peft still asks transformers for things by their old names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_tensors(folder: Path, change: Any) -> None:
    """Let `change` alter the adapter's tensors in place."""
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
