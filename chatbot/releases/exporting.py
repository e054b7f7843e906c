"""A version as a folder to carry elsewhere, with a card that says what it is; back in again; and away with what nobody needs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q

from chatbot.engine.adapter_folder import CONFIG_FILE, WEIGHTS_FILE
from chatbot.errors import Conflict, InvalidInput
from chatbot.releases import versions
from chatbot.releases.models import ModelVersion, Promotion

LINEAGE_FILE = "lineage.json"
CARD_FILE = "README.md"


def export_version(name: str, target: Path) -> Path:
    """Write an adapter, its lineage and a model card into the new folder `target`; it appears whole or not at all.

    Raises NotFound, Conflict for base weights or a version without files, ModelRefused for damaged ones, InvalidInput for a bad
    target.
    """
    version = versions.access_version(name)
    if version.base_id is None or not version.folder:
        raise Conflict(
            f"{name} is no adapter with files on this machine; base weights are a folder already.", code="version_gone"
        )
    if target.exists():
        raise InvalidInput(f"{target} exists already; name a new folder.", field="target")
    source = versions.verify_files(version)
    part = target.with_name(f".{target.name}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        for file in (CONFIG_FILE, WEIGHTS_FILE):
            shutil.copyfile(source / file, part / file)
        described = {"name": version.name, "lineage": version.lineage, "trained_on": version.trained_on}
        (part / LINEAGE_FILE).write_text(json.dumps(described, indent=1), encoding="utf-8")
        (part / CARD_FILE).write_text(card(version), encoding="utf-8")
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def import_version(source: Path, *, name: str = "", added_by: AbstractBaseUser | None = None) -> ModelVersion:
    """List an exported folder, or any adapter, with the lineage it brings. It answers nothing before the gate has passed it here.

    Raises what versions.add_adapter raises, and InvalidInput for a lineage that is no such file.
    """
    described: dict[str, object] = {}
    path = source / LINEAGE_FILE
    if path.exists():
        try:
            described = json.loads(path.read_text(encoding="utf-8"))
            lineage, trained_on = dict(described["lineage"]), [str(one) for one in list(described["trained_on"])]  # type: ignore[call-overload]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"{path} is damaged; export the version again.", field="source") from error
    else:
        lineage, trained_on = {}, []
    version = versions.add_adapter(source, name=name or str(described.get("name") or source.name), added_by=added_by)
    if not version.lineage:
        version.lineage, version.trained_on = lineage, trained_on
        version.save(update_fields=["lineage", "trained_on"])
    return version


def card(version: ModelVersion) -> str:
    """What the version is, in the shape of a model card."""
    origin, result = version.lineage, version.lineage.get("result", {})
    evaluation = version.evaluations.first()
    lines = [
        "---",
        "library_name: peft",
        f"base_model: {version.root.name}",
        "---",
        f"# {version.name}",
        "",
        f"A LoRA adapter on {version.root.name} ({version.root.licence or 'licence of the base unknown'}; the adapter is yours).",
        "",
        "| what | value |",
        "| --- | --- |",
        f"| base, SHA-256 of its source | {version.root.weights_sha256 or 'unknown'} |",
        f"| method | {origin.get('method', 'unknown')} |",
        f"| dataset, SHA-256 | {origin.get('dataset', 'unknown')}, {origin.get('dataset_sha256', 'unknown')} |",
        f"| examples, steps, seconds | {origin.get('examples', '?')}, {result.get('steps', '?')}, {result.get('seconds', '?')} |",
        f"| code | {origin.get('code_commit') or 'unknown'} |",
        f"| libraries | {', '.join(f'{k} {v}' for k, v in origin.get('versions', {}).items()) or 'unknown'} |",
        f"| size | {version.size_bytes:,} bytes |",
    ]
    if evaluation:
        verdict = evaluation.verdict
        gain = f"{100 * verdict['gain']:+.1f} points ({100 * verdict['lower95']:+.1f} to {100 * verdict['upper95']:+.1f})"
        rates = f"{100 * verdict['before']:.1f} % by {evaluation.against}, {100 * verdict['after']:.1f} % by this version"
        said = "passed" if evaluation.passed else "refused"
        lines += ["", f"Right answers to {verdict['questions']} held-out questions: {rates}: {gain}. The gate {said} it."]
    return "\n".join([*lines, "", "It was trained on what customers asked of one company: use it for that company only.", ""])


def garbage(used: set[str]) -> list[ModelVersion]:
    """Adapters whose files nobody needs: not live, in no stage, not what a rollback would bring back, and named by no message.

    used: the names that messages carry; the caller knows them.
    """
    last = Promotion.objects.filter(kind__in=[Promotion.Kind.LIVE, Promotion.Kind.ROLLED_BACK]).first()
    kept = Q(is_live=True) | ~Q(stage="") | Q(name__in=used) | Q(pk=last.previous_id if last and last.previous_id else 0)
    return list(ModelVersion.objects.filter(base__isnull=False).exclude(folder="").exclude(kept))


def collect(used: set[str]) -> tuple[list[str], int]:
    """Take the files of garbage away, and of folders that no row owns. Returns the names and the bytes that are free now."""
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
