"""What room this machine has: disk and memory, asked before the work that would fill them."""

from __future__ import annotations

import shutil
from pathlib import Path

from chatbot.engine.manifest import ModelRefused

# Left free beyond what is counted: block rounding, logs, other programs.
DISK_SPARE_BYTES = 200_000_000


def folder_bytes(parameters: int) -> int:
    """Room for a converted folder: bfloat16 weights and the tokenizer's files."""
    return 2 * parameters + 32_000_000


def conversion_memory_bytes(parameters: int) -> int:
    """Memory a conversion takes at its peak (3.0 GB measured for 0.63, 5.7 GB for 1.78 thousand million parameters)."""
    return int(2.4 * parameters) + 1_500_000_000


def require_disk(folder: Path, needed_bytes: int, *, present_bytes: int = 0) -> None:
    """Raise ModelRefused unless `folder` has room for `needed_bytes`, of which `present_bytes` are there already."""
    needed_bytes = max(needed_bytes - present_bytes, 0) + DISK_SPARE_BYTES
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise ModelRefused(
            "model_disk_full",
            f"{needed_bytes / 1e9:.1f} GB of free disk are needed in {folder}, there are {free_bytes / 1e9:.1f} GB; free some"
            " space, or set DATA_DIR to a larger disk",
        )


def require_memory(needed_bytes: int, *, purpose: str) -> None:
    """Raise ModelRefused when less memory is available; a machine that does not tell is trusted."""
    available = available_memory_bytes()
    if available is not None and available < needed_bytes:
        raise ModelRefused(
            "model_memory",
            f"{purpose} needs {needed_bytes / 1e9:.1f} GB of memory, {available / 1e9:.1f} GB are available; stop other programs,"
            " or take a smaller model",
        )


def available_memory_bytes() -> int | None:
    """Memory that can be had without swapping: of the machine, or of the container where that is less. None if unknown."""
    amounts = [amount for amount in (machine_memory_bytes(), container_memory_bytes()) if amount is not None]
    return min(amounts, default=None)


def machine_memory_bytes(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def container_memory_bytes(group: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Read the limit of a version 2 control group less what is in use; pages of files do not count, they can be dropped."""
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return None if limit == "max" else int(limit) - used + int(statistics.get("inactive_file", 0))
    except (OSError, ValueError):
        return None
