"""Which device and number format to run on where the operator has left it open, and whether it has room."""

from __future__ import annotations

import torch

from chatbot.engine.machine import require_memory
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


def require_room(size_bytes: int, *, device: str, purpose: str) -> None:
    """Raise EngineError with both numbers when the device's free memory is too small for `purpose`."""
    if device == "cpu":
        require_memory(size_bytes, purpose=purpose)
        return
    free_bytes = torch.cuda.mem_get_info(device)[0]
    if size_bytes > free_bytes:
        raise EngineError(
            "model_memory", f"{purpose} needs {size_bytes / 1e9:.1f} GB, the GPU has {free_bytes / 1e9:.1f} GB free"
        )


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out; on a CPU torch says so in the text alone."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
