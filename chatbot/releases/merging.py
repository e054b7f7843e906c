"""Compression as a release option: an adapter merged into its base weights becomes a version of its own.

The work is done by a process (chatbot.training.merging) in MODELS_DIR/.merging; the folder moves to MODELS_DIR/NAME when it is
whole, hashed and described, together with its row. Whatever fails or is killed before leaves nothing but that hidden folder,
which the next merge, or `collectversions`, takes away. On a CPU the engine quantises a merged model as it does any other.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from chatbot.engine.adapter_folder import check_name
from chatbot.engine.folder_checks import check_model_folder, holds_manifest, taken_files, verify_model_folder
from chatbot.engine.machine import require_disk
from chatbot.engine.manifest import Manifest, ModelRefused, hash_files, listing_sha256, now_iso, read_manifest, write_manifest
from chatbot.errors import Conflict
from chatbot.releases import cards, lineage, versions
from chatbot.releases.models import ModelVersion
from chatbot.staffing import audit
from chatbot.telemetry import log_event

WORK = ".merging"
SUFFIX = "-merged"
NICENESS = 19
MAX_NAME_CHARS = 80


def merged_of(adapter: ModelVersion) -> ModelVersion | None:
    """The merged version of an adapter, if there is one with files."""
    own = {"lineage__adapter": adapter.name, "lineage__adapter_sha256": adapter.weights_sha256}
    return ModelVersion.objects.filter(base__isnull=True, **own).exclude(folder="").first()


def refuse_unmergeable(adapter: ModelVersion) -> None:
    """What can be told before the work begins. Raises Conflict, ModelRefused."""
    if adapter.base_id is None or not adapter.folder:
        raise Conflict(f"{adapter} is no adapter with files on this machine; only adapters are merged.", code="not_an_adapter")
    if not adapter.root.folder or not Path(adapter.root.folder).is_dir():
        raise Conflict(f"The files of {adapter.root}, its base weights, are not on this machine.", code="base_missing")
    if (there := merged_of(adapter)) is not None:
        raise Conflict(f"{adapter} is merged already, as {there}.", code="merged_already")


def merge(adapter: ModelVersion, *, name: str = "", added_by: AbstractBaseUser | None = None) -> ModelVersion:
    """Write the merged weights and list them. They answer nobody before a worker is started with them.

    Raises Conflict, ModelRefused (also for a full disk).
    """
    refuse_unmergeable(adapter)
    arguments = ["--model", adapter.root.folder, "--adapter", str(versions.verify_files(adapter))]
    origin, seen = lineage.of_merged(adapter), {*adapter.trained_on, *adapter.root.trained_on}
    with _room(name or _free_name(adapter)) as (part, lock):
        _run([*arguments, "--out", str(part)], keep=lock)
        manifest = _described(adapter, part)
        return _list(manifest, part, origin=origin, trained_on=sorted(seen), added_by=added_by)


def bring_in(
    source: Path, *, name: str, origin: Mapping[str, Any], trained_on: Sequence[str], added_by: AbstractBaseUser | None = None
) -> ModelVersion:
    """Copy merged weights that were exported elsewhere into MODELS_DIR and list them. Raises Conflict, ModelRefused."""
    manifest = verify_model_folder(source, full=True)
    with _room(name) as (part, _):
        require_disk(part, manifest.size_bytes)
        for file in manifest.files:
            shutil.copyfile(source / file, part / file)
        manifest = replace(manifest, name=name)
        write_manifest(part, manifest)
        return _list(manifest, part, origin=origin, trained_on=trained_on, added_by=added_by)


def speed_ratio(adapter: ModelVersion, merged: ModelVersion, *, prompts: Path, rounds: int = 2) -> dict[str, float]:
    """Tokens a second of both on the same questions, in turn, the best round of each: {"before", "after", "ratio"}.

    Raises ModelRefused.
    """
    own = ["--model", adapter.root.folder, "--adapter", str(versions.verify_files(adapter)), "--time", str(prompts)]
    alone = ["--model", merged.folder, "--time", str(prompts)]
    best = [0.0, 0.0]
    for _ in range(rounds):
        for place, arguments in enumerate((own, alone)):
            told = json.loads(_run(arguments).strip().splitlines()[-1])
            best[place] = max(best[place], float(told["tokens_per_s"]))
    return {"before": best[0], "after": best[1], "ratio": round(best[1] / best[0], 3) if best[0] else 0.0}


def sweep() -> None:
    """Take away what a merge that was killed has left, unless another is at it."""
    with contextlib.suppress(Conflict), _only_one(make=False):
        pass


def _run(arguments: list[str], *, keep: int | None = None) -> str:
    """keep: the lock, which the process holds as long as it lives, also when this worker is killed."""
    command = ["nice", "-n", str(NICENESS), sys.executable, "-m", "chatbot.training.merging", *arguments]
    pass_fds = () if keep is None else (keep,)
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, pass_fds=pass_fds, env=dict(os.environ)
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["The process ended without a word."])[-1]
        code = re.search(r"\[([a-z0-9_]+)\]$", last)
        if done.returncode < 0:
            raise ModelRefused("killed", "the process was killed, perhaps for want of memory; nothing was kept")
        raise ModelRefused(code[1] if code else "merge_failed", last.removesuffix(code[0] if code else "").strip()[-400:])
    return done.stdout


def _free_name(adapter: ModelVersion) -> str:
    """A name given once means the same bytes for ever, so each merge gets one of its own."""
    stem = f"{adapter.name[: MAX_NAME_CHARS - len(SUFFIX) - 4]}{SUFFIX}"
    names = [stem, *(f"{stem}-{number}" for number in range(2, 100))]
    taken = set(ModelVersion.objects.filter(name__in=names).values_list("name", flat=True))
    return next(name for name in names if name not in taken and not (Path(settings.MODELS_DIR) / name).exists())


def _described(adapter: ModelVersion, part: Path) -> Manifest:
    """Check what was written, and write down what it is; the manifest comes last."""
    check_model_folder(part)
    files = hash_files(taken_files(part), progress=False)
    base = Path(adapter.root.folder)
    told = read_manifest(base) if holds_manifest(base) else None
    manifest = Manifest(
        name=part.name,
        source=f"merged:{adapter.name}",
        source_sha256=listing_sha256(files),
        licence=told.licence if told else adapter.root.licence,
        licence_text=told.licence_text if told else "",
        revision="",
        created_at=now_iso(),
        files=files,
        converter={"adapter": adapter.name, "adapter_sha256": adapter.weights_sha256, "base": adapter.root.name},
    )
    write_manifest(part, manifest)
    return manifest


def _list(
    manifest: Manifest, part: Path, *, origin: Mapping[str, Any], trained_on: Sequence[str], added_by: AbstractBaseUser | None
) -> ModelVersion:
    """Write the row and put the folder in place, both or neither."""
    author_id = added_by.pk if added_by else None
    target = Path(settings.MODELS_DIR).resolve() / manifest.name
    with transaction.atomic():
        version = ModelVersion.objects.create(
            name=manifest.name,
            folder=str(target),
            files={file: vars(entry) for file, entry in manifest.files.items()},
            source=manifest.source,
            licence=manifest.licence,
            weights_sha256=manifest.source_sha256,
            size_bytes=manifest.size_bytes,
            added_by_id=author_id,
            lineage=dict(origin),
            trained_on=list(trained_on),
        )
        cards.describe(version, part)
        audit.record(author_id, "version.added", f"version {version.name}", {"merged": version.merged_from})
        part.rename(target)
    log_event("version.added", version=version.name, base=version.merged_from, size_bytes=version.size_bytes, added_by=author_id)
    return version


@contextmanager
def _room(name: str) -> Iterator[tuple[Path, int]]:
    """A new folder to write a version of this name in, and the lock. Whatever fails, the folder goes."""
    check_name(name)
    with _only_one() as (work, lock):
        if ModelVersion.objects.filter(name=name).exists() or (Path(settings.MODELS_DIR) / name).exists():
            raise Conflict(f"Something is called {name} already; choose another name.", code="adapter_name_taken")
        part = work / name
        try:
            part.mkdir()
            yield part, lock
        except OSError as error:
            told = f"{part} cannot be written ({error}); free some space or set MODELS_DIR"
            raise ModelRefused("model_disk_error", told) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _only_one(*, make: bool = True) -> Iterator[tuple[Path, int]]:
    """The folder to work in, empty, and the lock on it. Raises Conflict while another merge of this machine has it."""
    work = Path(settings.MODELS_DIR) / WORK
    if not make and not work.is_dir():
        raise Conflict("Nothing was merged here.", code="nothing_merged")
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict("Another merge is under way on this machine; try again when it is done.", code="merge_busy") from error
        for left in [path for path in work.iterdir() if path.is_dir()]:
            shutil.rmtree(left, ignore_errors=True)
        yield work, lock.fileno()
