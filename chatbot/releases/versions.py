"""The list of weights that answer here: add an adapter, choose the live version, take files away.

The database says which version is live; workers follow it (following.py). A row is never deleted and a name never given to
other bytes: replies name their version for ever.
"""

from __future__ import annotations

import functools
import shutil
import uuid
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from chatbot.engine.adapter_folder import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    AdapterFolder,
    check_name,
    read_adapter_folder,
    refuse_other_shapes,
)
from chatbot.engine.folder_checks import holds_manifest, read_safetensors_header
from chatbot.engine.machine import require_disk
from chatbot.engine.manifest import (
    FileEntry,
    Manifest,
    ModelRefused,
    check_files,
    hash_files,
    listing_sha256,
    now_iso,
    read_manifest,
    write_manifest,
)
from chatbot.errors import Conflict, NotFound
from chatbot.releases.models import ModelVersion
from chatbot.staffing import audit
from chatbot.telemetry import log_event

ADAPTERS = "adapters"


def live_version() -> ModelVersion | None:
    return ModelVersion.objects.filter(is_live=True).select_related("base").first()


def adapter_folder(version: ModelVersion) -> Path:
    return Path(settings.MODELS_DIR) / version.folder


def record_loaded(model_version: str, *, folder: Path | None) -> ModelVersion:
    """Remember that these base weights were loaded, with what their manifest says; None: they are not files of this machine.

    They become live when nothing is, or when the live version belongs to other base weights: then again with the adapter
    that answered on them last, if one did.
    """
    described: dict[str, object] = {"last_loaded_at": Now(), "load_error": ""}
    if folder is not None:
        described["folder"] = str(folder)
        if holds_manifest(folder):
            manifest = read_manifest(folder)
            described |= {
                "source": manifest.source,
                "licence": manifest.licence,
                "weights_sha256": manifest.source_sha256,
                "size_bytes": manifest.size_bytes,
            }
    with transaction.atomic():
        version, _ = ModelVersion.objects.update_or_create(name=model_version, defaults=described)
        if version.base_id is not None:
            raise ModelRefused("adapter_name_taken", f"an adapter is called {model_version} already; rename the model's folder")
        if version.merged_from and version.files and listing_sha256(_entries(version)) != version.weights_sha256:
            raise ModelRefused("model_hash_mismatch", f"{folder} is not what was merged as {version}; rename the model's folder")
        live = ModelVersion.objects.select_for_update(of=["self"]).filter(is_live=True).select_related("base").first()
        if live is None or live.root != version:
            chosen = _answered_last(version) if live else version
            _switch(chosen, previous=live)
            if live:
                _audit("version.made_live", chosen, actor=None, detail={"former": live.name[:80], "by": "MODEL"})
    return version


def _entries(version: ModelVersion) -> dict[str, FileEntry]:
    return {name: FileEntry(**entry) for name, entry in version.files.items()}


def _answered_last(base: ModelVersion) -> ModelVersion:
    """What was live the last time these base weights ran: whoever sets MODEL back gets back what answered then."""
    rows = ModelVersion.objects.filter(Q(pk=base.pk) | Q(base=base), live_since__isnull=False)
    return rows.filter(Q(pk=base.pk) | ~Q(folder="")).select_related("base").order_by("-live_since").first() or base


def add_adapter(folder: Path, *, name: str, added_by: AbstractBaseUser | None = None) -> ModelVersion:
    """Check an adapter in peft's format, copy it to MODELS_DIR/adapters/NAME and list it. It answers nothing before make_live.

    The same bytes under the same name again change nothing. Raises ModelRefused for a folder that does not fit the live base,
    Conflict for a name that means something else.
    """
    check_name(name)
    live = live_version()
    if live is None:
        raise Conflict("Start the generation worker once first, so that it is known which base weights run.", code="no_base")
    _refuse_other_base(read_adapter_folder(folder), live.root)
    store = Path(settings.MODELS_DIR) / ADAPTERS
    part = store / f".adding-{name}-{uuid.uuid4().hex[:8]}"
    try:
        part.mkdir(parents=True)
        manifest = _copy(folder, part, name=name)
        return _list(manifest, part, base=live.root, added_by=added_by)
    except OSError as error:
        raise ModelRefused(
            "model_disk_error", f"{store} cannot be written ({error}); free some space or set MODELS_DIR"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def make_live(name: str, *, made_by: AbstractBaseUser | None = None) -> ModelVersion:
    """Let a version answer everything asked from now on. Workers follow within seconds, without a restart.

    Raises NotFound, Conflict for a version that cannot run on the base weights that are running, ModelRefused for damaged files.
    """
    version = _get(name)
    if version.base_id is not None and version.folder:
        verify_files(version)  # before the rows are locked: hashing takes time
    with transaction.atomic():
        rows = {row.name: row for row in ModelVersion.objects.select_for_update().order_by("pk")}
        version, live = rows[name], next((row for row in rows.values() if row.is_live), None)
        if version.base_id is not None and not version.folder:
            raise Conflict(f"The files of {name} were taken away; add the adapter again.", code="version_gone")
        if live is not None and live.root != version.root:
            what = f"belongs to {version.root}" if version.base_id else "is whole weights"
            told = f"{name} {what}, but {live.root} is running; set MODEL={version.root} and restart the workers."
            raise Conflict(told, code="adapter_wrong_base")
        if live != version:
            _switch(version, previous=live)
            _audit("version.made_live", version, actor=made_by, detail={"former": live.name[:80] if live else ""})
    return version


def forget(name: str, *, forgotten_by: AbstractBaseUser | None = None) -> ModelVersion:
    """Take away the files of an adapter, or of merged weights that nothing runs on. Its row stays, because messages name it.

    Raises NotFound, or Conflict for what is in use.
    """
    with transaction.atomic():
        version = ModelVersion.objects.select_for_update().filter(name=name).first()
        if version is None:
            raise NotFound(f"No version is called {name}.", code="unknown_version")
        if version.kind == "base" or version.is_live or version.adapters.exclude(folder="").exists():
            raise Conflict(f"{name} is the live version or base weights; make another live first.", code="version_in_use")
        if version.folder:
            folder = adapter_folder(version).resolve()
            if folder.is_relative_to(
                Path(settings.MODELS_DIR).resolve()
            ):  # merged weights may run from a folder of the operator's
                transaction.on_commit(functools.partial(shutil.rmtree, folder, ignore_errors=True))
            version.folder = ""
            version.save(update_fields=["folder"])
            _audit("version.forgotten", version, actor=forgotten_by)
            log_event("version.forgotten", version=name)
    return version


def verify_files(version: ModelVersion) -> Path:
    """Hold an adapter's files, or merged weights', against the hashes of its row; returns their folder. Raises ModelRefused."""
    folder = adapter_folder(version)
    manifest = read_manifest(folder)
    if listing_sha256(manifest.files) != version.weights_sha256:
        raise ModelRefused("model_hash_mismatch", f"{folder} is not what was added as {version}; add the adapter again")
    check_files(folder, manifest, full=True, progress=False)
    return folder


def access_version(name: str) -> ModelVersion:
    """Raises NotFound."""
    return _get(name)


def _get(name: str) -> ModelVersion:
    version = ModelVersion.objects.filter(name=name).first()
    if version is None:
        raise NotFound(f"No version is called {name}.", code="unknown_version")
    return version


def _switch(version: ModelVersion, *, previous: ModelVersion | None) -> None:
    """Move the mark of the live version. The caller holds a transaction with the live row locked."""
    ModelVersion.objects.filter(is_live=True).update(is_live=False)
    ModelVersion.objects.filter(pk=version.pk).update(is_live=True, live_since=Now(), stage="", canary_percent=0)
    version.refresh_from_db()
    log_event("version.made_live", version=version.name, previous=previous.name if previous else "")


def _audit(
    action: str, version: ModelVersion, *, actor: AbstractBaseUser | None, detail: dict[str, audit.Value] | None = None
) -> None:
    audit.record(actor.pk if actor else None, action, f"version {version.name}", dict(detail or {}))


def _refuse_other_base(adapter: AdapterFolder, base: ModelVersion) -> None:
    """Compare shapes with the files of the base where they are at hand; the worker compares all of them when it loads."""
    paths = sorted(Path(base.folder).glob("*.safetensors")) if base.folder else []
    shapes = {name: tensor.shape for path in paths for name, tensor in read_safetensors_header(path).items()}
    refuse_other_shapes(adapter, shapes, base=base.name)


def _copy(source: Path, part: Path, *, name: str) -> Manifest:
    """Copy the two files that count, check the copy and describe it."""
    names = (CONFIG_FILE, WEIGHTS_FILE)
    require_disk(part, sum((source / file).stat().st_size for file in names))
    for file in names:
        shutil.copyfile(source / file, part / file)
    read_adapter_folder(part)
    files = hash_files([part / file for file in names], progress=False)
    manifest = Manifest(
        name=name,
        source=str(source.resolve())[:300],
        source_sha256=listing_sha256(files),
        licence="",
        licence_text="",
        revision="",
        created_at=now_iso(),
        files=files,
    )
    write_manifest(part, manifest)
    return manifest


def _list(manifest: Manifest, part: Path, *, base: ModelVersion, added_by: AbstractBaseUser | None) -> ModelVersion:
    """Write the row and put the folder in place, both or neither."""
    author_id = added_by.pk if added_by else None
    with transaction.atomic():
        version, created = ModelVersion.objects.select_for_update().get_or_create(
            name=manifest.name,
            defaults={
                "base": base,
                "files": {file: vars(entry) for file, entry in manifest.files.items()},
                "source": manifest.source,
                "weights_sha256": manifest.source_sha256,
                "size_bytes": manifest.size_bytes,
                "added_by_id": author_id,
            },
        )
        if version.weights_sha256 != manifest.source_sha256 or version.base_id != base.pk:
            raise Conflict(
                f"Another version is called {manifest.name}; replies name it. Choose a new name.", code="adapter_name_taken"
            )
        if version.folder:
            return version
        target = Path(settings.MODELS_DIR) / ADAPTERS / manifest.name
        shutil.rmtree(target, ignore_errors=True)  # no row owns it: left by an attempt that was cut off
        part.rename(target)
        version.folder = f"{ADAPTERS}/{manifest.name}"
        version.save(update_fields=["folder"])
        _audit("version.added", version, actor=added_by, detail={"base": base.name[:80]})
    if created:
        log_event("version.added", version=version.name, base=base.name, size_bytes=version.size_bytes, added_by=author_id)
    return version
