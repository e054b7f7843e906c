"""An adapter at less than its full strength: on the straight line from its base weights to what was trained.

What a version unlearnt comes back on that line sooner than what it learnt goes: Wortsman et al., "Robust fine-tuning of zero-shot
models", 2022. For LoRA the line is the factor alpha, so the tensors stay as they are and nothing is trained again.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from chatbot.engine.adapter_folder import CONFIG_FILE, WEIGHTS_FILE
from chatbot.errors import Conflict, InvalidInput
from chatbot.releases import lineage, versions
from chatbot.releases.models import ModelVersion


def scaled(adapter: ModelVersion, *, strength: float, added_by: AbstractBaseUser | None = None) -> ModelVersion:
    """List an adapter again at a share of its strength, between 0 and 1. It answers nobody before a promotion.

    Raises InvalidInput, Conflict for what is no adapter here, ModelRefused for damaged files.
    """
    if not 0 < strength < 1:
        raise InvalidInput("The strength is a share between 0 and 1, such as 0.7.", code="bad_strength")
    if adapter.base_id is None or not adapter.folder:
        raise Conflict(
            f"{adapter} is no adapter with files on this machine; only adapters have a strength.", code="not_an_adapter"
        )
    source = versions.verify_files(adapter)
    with tempfile.TemporaryDirectory() as folder:
        config = json.loads((source / CONFIG_FILE).read_text(encoding="utf-8"))
        config["lora_alpha"] *= strength
        config["alpha_pattern"] = {layer: alpha * strength for layer, alpha in (config.get("alpha_pattern") or {}).items()}
        (Path(folder) / CONFIG_FILE).write_text(json.dumps(config, indent=2), encoding="utf-8")
        shutil.copyfile(source / WEIGHTS_FILE, Path(folder) / WEIGHTS_FILE)
        origin = {key: value for key, value in adapter.lineage.items() if key != "light"}  # measured anew, if at all
        origin |= {"scaled_from": adapter.name, "strength": strength}
        with transaction.atomic():  # listed with where it came from, or not at all
            version = versions.add_adapter(Path(folder), name=f"{adapter.name[:72]}-at-{strength * 100:.0f}", added_by=added_by)
            lineage.describe(version, origin, trained_on=adapter.trained_on)
    return version
