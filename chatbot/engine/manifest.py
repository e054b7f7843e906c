"""What a fetched model folder says about itself, and whether its bytes still say the same.

`manifest.json` names the source, the licence and the hash and size of every file. It is written last, so a folder that has one
was complete when it was put in place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from chatbot.engine.requests import EngineError

MANIFEST_NAME = "manifest.json"
MANIFEST_FORMAT = 1
CHUNK_BYTES = 1 << 20
# Work shorter than this shows no bar.
BAR_DELAY_S = 3.0


class ModelRefused(EngineError):
    """A model, or a source of one, that is not taken. The text says what to do about it."""


@dataclass(frozen=True)
class FileEntry:
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """name: of the folder; source: where its bytes came from; source_sha256: hash of that file, or of that folder's listing."""

    name: str
    source: str
    source_sha256: str
    licence: str
    licence_text: str
    revision: str
    created_at: str
    files: Mapping[str, FileEntry]
    converter: Mapping[str, str] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        return sum(entry.size_bytes for entry in self.files.values())


def sha256_of(path: Path, *, advance: Callable[[int], object] = lambda size_bytes: None) -> str:
    """Hash a file in pieces. `advance` is told the size of each."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            advance(len(chunk))
    return digest.hexdigest()


def megabyte_bar(text: str, *, total_bytes: int, progress: bool) -> tqdm[Any]:
    """Return a bar in MB on standard error that appears only when the work takes longer than three seconds."""
    return tqdm(total=total_bytes, desc=text, unit="B", unit_scale=True, delay=BAR_DELAY_S, disable=not progress, leave=False)


def hash_files(paths: Sequence[Path], *, progress: bool) -> dict[str, FileEntry]:
    """Hash the files of one folder, by name."""
    with megabyte_bar("hashing the model", total_bytes=sum(p.stat().st_size for p in paths), progress=progress) as bar:
        return {path.name: FileEntry(sha256_of(path, advance=bar.update), path.stat().st_size) for path in paths}


def listing_sha256(files: Mapping[str, FileEntry]) -> str:
    """Hash names and hashes together: one value for a whole folder."""
    return hashlib.sha256("".join(f"{files[name].sha256}  {name}\n" for name in sorted(files)).encode()).hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    text = json.dumps({"format": MANIFEST_FORMAT, **asdict(manifest)}, indent=2, ensure_ascii=False)
    (folder / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")


def now_iso() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_manifest(folder: Path) -> Manifest:
    """Read `manifest.json`. Raises ModelRefused when it is absent or not one of ours."""
    path = folder / MANIFEST_NAME
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw.pop("format") != MANIFEST_FORMAT:
            raise ValueError("another format")
        files = {str(name): FileEntry(str(e["sha256"]), int(e["size_bytes"])) for name, e in raw.pop("files").items()}
        if any("/" in name or name in {"", ".", ".."} for name in files):
            raise ValueError("a name that leaves the folder")
        return Manifest(files=files, **raw)
    except FileNotFoundError:
        raise ModelRefused("model_missing_file", f"{folder} has no {MANIFEST_NAME}: fetch the model again") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelRefused("model_bad_json", f"{path} cannot be read ({error}): fetch the model again") from error


def check_files(folder: Path, manifest: Manifest, *, full: bool, progress: bool) -> None:
    """Compare the folder with its manifest: names and sizes, and the hashes too when `full`."""
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise ModelRefused("model_missing_file", f"{path} is gone: fetch the model again")
        if path.stat().st_size != entry.size_bytes:
            raise ModelRefused(
                "model_truncated",
                f"{path} has {path.stat().st_size} bytes, its manifest says {entry.size_bytes}: fetch the model again",
            )
    if not full:
        return
    with megabyte_bar("checking the model", total_bytes=manifest.size_bytes, progress=progress) as bar:
        for name, entry in manifest.files.items():
            if sha256_of(folder / name, advance=bar.update) != entry.sha256:
                raise ModelRefused("model_hash_mismatch", f"{folder / name} is not what was fetched: fetch the model again")
