"""Where a version came from: base, dataset, run, options, libraries and the code's own commit."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chatbot.releases.models import ModelVersion

ROOT = Path(__file__).resolve().parents[2]


def describe(version: ModelVersion, origin: Mapping[str, Any], *, trained_on: Sequence[str]) -> None:
    """Keep how a version was made. trained_on: the hashes of its lessons, so that nobody judges it by them."""
    version.lineage = {
        **origin,
        "base": version.root.name,
        "base_sha256": version.root.weights_sha256,
        "code_commit": code_commit(),
    }
    version.trained_on = list(trained_on)
    version.save(update_fields=["lineage", "trained_on"])


def of_merged(adapter: ModelVersion) -> dict[str, Any]:
    """Of the weights that an adapter is merged into: how the adapter came to be, and from what it was merged by which code."""
    return {
        **adapter.lineage,
        "adapter": adapter.name,
        "adapter_sha256": adapter.weights_sha256,
        "base": adapter.root.name,
        "base_sha256": adapter.root.weights_sha256,
        "code_commit": code_commit(),
    }


@functools.cache
def code_commit() -> str:
    """The commit this code was checked out at; empty where it was not."""
    try:
        found = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
