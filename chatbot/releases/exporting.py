"""A version as a folder to carry elsewhere, with a card that says what it is; back in again; and away with what nobody needs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q

from chatbot.engine.adapter_folder import CONFIG_FILE, WEIGHTS_FILE
from chatbot.engine.folder_checks import taken_files
from chatbot.engine.machine import require_disk
from chatbot.engine.manifest import MANIFEST_NAME, ModelRefused
from chatbot.errors import Conflict, InvalidInput
from chatbot.releases import cards, merging, versions
from chatbot.releases.models import ModelVersion, Promotion


def export_version(name: str, target: Path) -> Path:
    """Write an adapter or merged weights, the lineage and a model card into the new folder `target`; whole or not at all.

    Raises NotFound, Conflict for base weights as their makers left them or a version without files, ModelRefused for damaged
    ones or a full disk, InvalidInput for a bad target.
    """
    version = versions.access_version(name)
    if not version.folder or version.kind == "base":
        raise Conflict(f"{name} has no files here that were made here; base weights are a folder already.", code="version_gone")
    if target.exists():
        raise InvalidInput(f"{target} exists already; name a new folder.", field="target")
    source = versions.verify_files(version)
    files = [source / file for file in (CONFIG_FILE, WEIGHTS_FILE)] if version.base_id else taken_files(source)
    part = target.with_name(f".{target.name}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        require_disk(part, sum(path.stat().st_size for path in files))
        for path in [*files, *([source / MANIFEST_NAME] if version.merged_from else [])]:
            shutil.copyfile(path, part / path.name)
        cards.describe(version, part)
        part.rename(target)
    except OSError as error:
        raise ModelRefused("model_disk_error", f"{target} cannot be written ({error}); free some space") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def import_version(source: Path, *, name: str = "", added_by: AbstractBaseUser | None = None) -> ModelVersion:
    """List an exported folder, or any adapter, with the lineage it brings. It answers nothing before the gate has passed it here.

    Raises what versions.add_adapter and merging.bring_in raise, and InvalidInput for a lineage that is no such file.
    """
    described: dict[str, object] = {}
    path = source / cards.LINEAGE_FILE
    if path.exists():
        try:
            described = json.loads(path.read_text(encoding="utf-8"))
            lineage, trained_on = dict(described["lineage"]), [str(one) for one in list(described["trained_on"])]  # type: ignore[call-overload]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"{path} is damaged; export the version again.", field="source") from error
    else:
        lineage, trained_on = {}, []
    name = name or str(described.get("name") or source.name)
    if lineage.get("adapter") and not (source / CONFIG_FILE).exists():
        return merging.bring_in(source, name=name, origin=lineage, trained_on=trained_on, added_by=added_by)
    with transaction.atomic():  # listed with what it was trained on, or not at all
        version = versions.add_adapter(source, name=name, added_by=added_by)
        if not version.lineage:
            version.lineage, version.trained_on = lineage, trained_on
            version.save(update_fields=["lineage", "trained_on"])
    return version


def garbage(used: set[str]) -> list[ModelVersion]:
    """Versions whose files nobody needs: not live, in no stage, not what a rollback would bring back, named by no message.

    Adapters, and merged weights that no adapter with files was trained on. used: the names that messages carry; the caller
    knows them.
    """
    last = Promotion.objects.filter(kind__in=[Promotion.Kind.LIVE, Promotion.Kind.ROLLED_BACK]).first()
    kept = Q(is_live=True) | ~Q(stage="") | Q(name__in=used) | Q(pk=last.previous_id if last and last.previous_id else 0)
    rows = ModelVersion.objects.exclude(folder="").exclude(kept)
    bases = set(ModelVersion.objects.filter(base__isnull=False).exclude(folder="").values_list("base_id", flat=True))
    return [row for row in rows if row.base_id or (row.merged_from and row.pk not in bases)]


def collect(used: set[str]) -> tuple[list[str], int]:
    """Take the files of garbage away, and of folders that no row owns. Returns the names and the bytes that are free now."""
    merging.sweep()
    names, freed = [], 0
    for version in garbage(used):
        freed += version.size_bytes
        versions.forget(version.name)
        names.append(version.name)
    store = Path(settings.MODELS_DIR) / versions.ADAPTERS
    owned = set(ModelVersion.objects.exclude(folder="").values_list("folder", flat=True))
    for folder in store.iterdir() if store.is_dir() else ():
        if folder.is_dir() and not folder.name.startswith(".") and f"{versions.ADAPTERS}/{folder.name}" not in owned:
            freed += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            shutil.rmtree(folder, ignore_errors=True)
            names.append(folder.name)
    return names, freed
