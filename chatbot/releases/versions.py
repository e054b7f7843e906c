"""Keep the list of weights that have answered here."""

from __future__ import annotations

from pathlib import Path

from chatbot.engine.manifest import read_manifest
from chatbot.releases.models import ModelVersion


def record_loaded(model_version: str, *, folder: Path) -> ModelVersion:
    """Remember that these weights were loaded, with what their manifest says of them."""
    manifest = read_manifest(folder)
    version, _ = ModelVersion.objects.update_or_create(
        name=model_version,
        defaults={
            "source": manifest.source,
            "licence": manifest.licence,
            "weights_sha256": manifest.source_sha256,
            "size_bytes": manifest.size_bytes,
        },
    )
    return version
