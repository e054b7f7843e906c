"""What a training run may be told, with the defaults that suit a small model on a CPU."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

ALL_LINEAR = "all-linear"


@dataclass(frozen=True)
class Options:
    """What one run is told.

    model: a folder of base weights. data: a dataset folder (see manifest.py). out: the run's folder; resumed when it has begun.
    upper_share: the share of layers, from the output down, that learn; nothing is computed backwards below them.
    budget_minutes: stop in good order after so long; 0 for no limit. full: train all weights instead of an adapter. threads: 0
    for torch's own choice.
    """

    model: Path
    data: Path
    out: Path
    learning_rate: float = 2e-4
    epochs: float = 2.0
    max_steps: int = 0
    batch: int = 4
    accumulate: int = 2
    max_tokens: int = 640
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    upper_share: float = 1.0
    full: bool = False
    packing: bool = False
    warmup_share: float = 0.05
    evaluate_every: int = 10
    save_every: int = 10
    keep_checkpoints: int = 2
    patience: int = 3
    seed: int = 17
    budget_minutes: float = 0.0
    device: str = "auto"
    dtype: str = "auto"
    checkpoint_activations: bool = False
    threads: int = 0
    beta: float = 0.1

    def as_json(self) -> dict[str, Any]:
        return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}


_HELP = {
    "model": "folder of the base weights",
    "data": "folder of a dataset, from `manage.py builddataset`",
    "out": "the run's folder; the same command goes on with a run that was cut off",
    "learning_rate": "highest learning rate; it falls to zero along a cosine",
    "epochs": "passes over the training half",
    "max_steps": "end after so many steps, whatever the epochs; 0 for no limit",
    "batch": "examples a forward pass",
    "accumulate": "forward passes a step",
    "max_tokens": "longer examples are left out",
    "rank": "of the LoRA adapter",
    "alpha": "of the LoRA adapter; its updates are scaled by alpha / rank",
    "dropout": "of the LoRA adapter",
    "upper_share": "share of layers, from the output down, that learn",
    "full": "train all weights instead of an adapter",
    "packing": "join short examples to full rows (needs an attention kernel that keeps them apart: GPUs)",
    "warmup_share": "share of the steps over which the learning rate rises",
    "evaluate_every": "steps between two losses on the tuning half",
    "save_every": "steps between two checkpoints; a multiple of evaluate-every",
    "keep_checkpoints": "newest checkpoints that are kept besides the best",
    "patience": "evaluations without a better loss after which the run ends; 0 for never",
    "seed": "of order, dropout and first weights",
    "budget_minutes": "end in good order after so many minutes; 0 for no limit",
    "device": "auto, cpu or cuda",
    "dtype": "auto, float32 or bfloat16, of the base weights",
    "checkpoint_activations": "compute activations twice to save memory",
    "threads": "CPU threads; 0 for all",
    "beta": "preference training: how far the model may move from where it began",
}


def parsed(arguments: Sequence[str] | None, *, description: str) -> Options:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in fields(Options):
        flag = f"--{field.name.replace('_', '-')}"
        required = field.name in ("model", "data", "out")
        if field.type == "bool":
            parser.add_argument(flag, action="store_true", help=_HELP[field.name])
        else:
            kind = {"Path": Path, "float": float, "int": int, "str": str}[str(field.type)]
            default = None if required else field.default
            shown = _HELP[field.name] + ("" if required else f" (default {default})")
            parser.add_argument(flag, type=kind, required=required, default=default, help=shown)
    return Options(**vars(parser.parse_args(arguments)))
