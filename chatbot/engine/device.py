"""Which device and number format to run on, where the operator has left it open."""

from __future__ import annotations

import torch

from chatbot.engine.requests import EngineError


def choose_device(device: str, dtype: str) -> tuple[str, str]:
    """Turn "auto" into what suits this machine: ("cuda", "bfloat16" or "float16") with a GPU, else ("cpu", "int8").

    Raises EngineError when a GPU is asked for and none is there.
    """
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise EngineError(
            "engine_no_gpu",
            "MODEL_DEVICE=cuda, but PyTorch sees no GPU: install a CUDA build of torch, or set MODEL_DEVICE=cpu",
        )
    chosen = ("cuda" if has_gpu else "cpu") if device == "auto" else device
    if dtype != "auto":
        return chosen, dtype
    if chosen == "cpu":
        return chosen, "int8"
    return chosen, "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
