"""What the benchmarks of the learning loop share: a small model with a real tokenizer, random adapters, the running product.

Not here: what is measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402

from support_portal.devservices.environment import site_environment  # noqa: E402
from support_portal.devservices.services import ServiceUrls  # noqa: E402
from tests.stack import Stack, running_stack  # noqa: E402

TINY = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
ADAPTED = ("q_proj", "v_proj", "down_proj")
RANK = 4


def tiny_like(model: Path, folder: Path) -> Path:
    """A model of the same kind with the same words and random weights, 40 MB small: it writes nonsense at once."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(7)
    config = AutoConfig.from_pretrained(model)
    layers = {"layer_types": ["full_attention"] * TINY["num_hidden_layers"], "max_window_layers": TINY["num_hidden_layers"]}
    config.update({**TINY, **layers, "tie_word_embeddings": True, "initializer_range": 0.3})
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    AutoTokenizer.from_pretrained(model).save_pretrained(folder)
    return folder


def random_adapter(folder: Path, model: Path, *, seed: int, strength: float) -> Path:
    """An adapter that moves the products of some layers by a share of their own size, so that the model says other things."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, (rows, columns), spread in _weights(model):
        for side, shape, size in (("A", (RANK, columns), columns**-0.5), ("B", (rows, RANK), strength * spread * columns**0.5)):
            matrix = rng.normal(size=shape) * size
            tensors[f"base_model.model.{name}.lora_{side}.weight"] = matrix.astype(np.float32)
    folder.mkdir(parents=True)
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": RANK, "lora_alpha": RANK, "target_modules": list(ADAPTED)}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def _weights(model: Path) -> Iterator[tuple[str, tuple[int, int], float]]:
    for path in sorted(model.glob("*.safetensors")):
        with safe_open(path, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118
                if name.endswith(tuple(f"{layer}.weight" for layer in ADAPTED)):
                    tensor = weights.get_tensor(name)
                    yield name.removesuffix(".weight"), tuple(tensor.shape), float(tensor.float().std())


@contextlib.contextmanager
def product(data_dir: Path, model: Path, **environment: str) -> Iterator[Stack]:
    """The whole product on these weights, as `make demo` starts it; this process talks to its database too."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with running_stack(data_dir, ENGINE="torch", MODEL=str(model), **environment) as stack:
        urls = ServiceUrls(**json.loads((data_dir / "services.json").read_text()))
        os.environ |= site_environment({"MODEL": str(model)}, folder=data_dir, urls=urls, port=stack.port)
        import django

        django.setup()
        yield stack
