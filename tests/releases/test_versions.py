from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from safetensors.numpy import save_file

from chatbot.engine.manifest import ModelRefused, read_manifest
from chatbot.errors import Conflict, NotFound
from chatbot.releases import versions
from chatbot.releases.models import ModelVersion
from support_portal.accounts.models import User
from tests.engine.tiny_files import write_model_folder
from tests.releases.conftest import LAYER

Make = Callable[..., Path]


def live() -> str:
    version = versions.live_version()
    return version.name if version else ""


def test_the_first_base_weights_are_live(db: None, tmp_path: Path) -> None:
    folder = write_model_folder(tmp_path / "weights")
    version = versions.record_loaded("house-model", folder=folder)
    assert (version.kind, version.folder, version.is_live, live()) == ("base", str(folder), True, "house-model")
    assert version.last_loaded_at is not None and version.live_since is not None


def test_starting_again_keeps_a_live_adapter(base: ModelVersion, make_adapter: Make) -> None:
    versions.add_adapter(make_adapter(), name="tuned")
    versions.make_live("tuned")
    versions.record_loaded("house-model", folder=None)
    assert live() == "tuned"


def test_other_base_weights_take_over_from_an_adapter(base: ModelVersion, make_adapter: Make) -> None:
    versions.add_adapter(make_adapter(), name="tuned")
    versions.make_live("tuned")
    versions.record_loaded("new-model", folder=None)
    assert live() == "new-model"
    with pytest.raises(Conflict) as refused:
        versions.make_live("tuned")
    assert refused.value.code == "adapter_wrong_base" and live() == "new-model"


def test_base_weights_cannot_take_the_name_of_an_adapter(base: ModelVersion, make_adapter: Make) -> None:
    versions.add_adapter(make_adapter(), name="tuned")
    with pytest.raises(ModelRefused) as refused:
        versions.record_loaded("tuned", folder=None)
    assert refused.value.code == "adapter_name_taken"
    assert ModelVersion.objects.get(name="tuned").last_loaded_at is None


def test_an_adapter_is_copied_hashed_and_listed(
    base: ModelVersion, make_adapter: Make, models_dir: Path, omar: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    version = versions.add_adapter(make_adapter(), name="tuned", added_by=omar)
    folder = models_dir / "adapters" / "tuned"
    assert sorted(path.name for path in folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors", "manifest.json"]
    assert (version.kind, version.base, version.added_by, version.is_live) == ("adapter", base, omar, False)
    assert version.files["adapter_model.safetensors"]["sha256"] == read_manifest(folder).files["adapter_model.safetensors"].sha256
    assert version.size_bytes == read_manifest(folder).size_bytes and live() == "house-model"
    assert [path.name for path in folder.parent.iterdir()] == ["tuned"]
    assert "version.added version=tuned base=house-model" in caplog.text


def test_the_same_bytes_again_change_nothing(base: ModelVersion, make_adapter: Make) -> None:
    folder = make_adapter()
    assert versions.add_adapter(folder, name="tuned") == versions.add_adapter(folder, name="tuned")
    assert ModelVersion.objects.filter(name="tuned").count() == 1


def test_a_name_never_means_other_bytes(base: ModelVersion, make_adapter: Make, models_dir: Path) -> None:
    versions.add_adapter(make_adapter(), name="tuned")
    before = read_manifest(models_dir / "adapters" / "tuned")
    for taken in ("tuned", "house-model"):
        with pytest.raises(Conflict) as refused:
            versions.add_adapter(make_adapter(f"other-{taken}", value=2.0), name=taken)
        assert refused.value.code == "adapter_name_taken"
    assert read_manifest(models_dir / "adapters" / "tuned") == before
    assert [path.name for path in (models_dir / "adapters").iterdir()] == ["tuned"]


def test_a_refused_folder_leaves_nothing(base: ModelVersion, make_adapter: Make, models_dir: Path) -> None:
    folder = make_adapter()
    (folder / "adapter_model.safetensors").write_bytes((folder / "adapter_model.safetensors").read_bytes()[:-1])
    with pytest.raises(ModelRefused) as refused:
        versions.add_adapter(folder, name="tuned")
    assert refused.value.code == "model_truncated"
    with pytest.raises(ModelRefused) as refused:
        versions.add_adapter(folder, name="../tuned")
    assert refused.value.code == "adapter_bad_name"
    assert not (models_dir / "adapters").exists() and not ModelVersion.objects.filter(name="tuned").exists()


def test_an_adapter_of_other_shapes_is_refused_before_it_is_copied(
    base: ModelVersion, make_adapter: Make, models_dir: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    save_file({f"{LAYER}.weight": np.zeros((16, 16), np.float32)}, weights / "model.safetensors")
    ModelVersion.objects.update(folder=str(weights))
    with pytest.raises(ModelRefused) as refused:
        versions.add_adapter(make_adapter(), name="tuned")
    assert refused.value.code == "adapter_wrong_base" and not (models_dir / "adapters").exists()
    assert versions.add_adapter(make_adapter("fits", hidden=16), name="fits").root == base


def test_without_a_base_there_is_nothing_to_adapt(db: None, make_adapter: Make) -> None:
    with pytest.raises(Conflict) as refused:
        versions.add_adapter(make_adapter(), name="tuned")
    assert refused.value.code == "no_base"


def test_what_a_cut_off_attempt_left_is_replaced(base: ModelVersion, make_adapter: Make, models_dir: Path) -> None:
    orphan = models_dir / "adapters" / "tuned"
    orphan.mkdir(parents=True)
    (orphan / "adapter_config.json").write_text("half")
    assert versions.verify_files(versions.add_adapter(make_adapter(), name="tuned")) == orphan


def test_a_full_disk_is_said(base: ModelVersion, make_adapter: Make, monkeypatch: pytest.MonkeyPatch, models_dir: Path) -> None:
    def fail(*where: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(ModelRefused) as refused:
        versions.add_adapter(make_adapter(), name="tuned")
    assert refused.value.code == "model_disk_error" and list((models_dir / "adapters").iterdir()) == []


def test_one_version_is_live(base: ModelVersion, make_adapter: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    versions.add_adapter(make_adapter(), name="tuned")
    versions.make_live("tuned")
    assert list(ModelVersion.objects.filter(is_live=True).values_list("name", flat=True)) == ["tuned"]
    versions.make_live("house-model")
    assert live() == "house-model"
    assert "version.made_live version=tuned previous=house-model" in caplog.text
    with pytest.raises(IntegrityError, match="model_version_one_live"), transaction.atomic():
        ModelVersion.objects.filter(name="tuned").update(is_live=True, live_since=timezone.now())


def test_an_unknown_or_damaged_version_does_not_go_live(base: ModelVersion, make_adapter: Make, models_dir: Path) -> None:
    with pytest.raises(NotFound) as unknown:
        versions.make_live("nothing")
    assert unknown.value.code == "unknown_version"
    versions.add_adapter(make_adapter(), name="tuned")
    weights = models_dir / "adapters" / "tuned" / "adapter_model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(ModelRefused) as refused:
        versions.make_live("tuned")
    assert refused.value.code == "model_hash_mismatch" and live() == "house-model"


def test_files_changed_together_with_their_manifest_are_noticed(base: ModelVersion, make_adapter: Make, models_dir: Path) -> None:
    versions.add_adapter(make_adapter(), name="tuned")
    versions.add_adapter(make_adapter("other", value=2.0), name="other")
    shutil.rmtree(models_dir / "adapters" / "tuned")
    shutil.copytree(models_dir / "adapters" / "other", models_dir / "adapters" / "tuned")
    with pytest.raises(ModelRefused) as refused:
        versions.verify_files(ModelVersion.objects.get(name="tuned"))
    assert refused.value.code == "model_hash_mismatch"


def test_forgetting_takes_files_and_leaves_the_row(
    base: ModelVersion, make_adapter: Make, models_dir: Path, django_capture_on_commit_callbacks: Any
) -> None:
    folder = make_adapter()
    versions.add_adapter(folder, name="tuned")
    versions.make_live("tuned")
    for kept in ("tuned", "house-model"):
        with pytest.raises(Conflict) as refused:
            versions.forget(kept)
        assert refused.value.code == "version_in_use"
    versions.make_live("house-model")
    with django_capture_on_commit_callbacks(execute=True):
        versions.forget("tuned")
    assert not (models_dir / "adapters" / "tuned").exists() and ModelVersion.objects.get(name="tuned").folder == ""
    with pytest.raises(Conflict) as gone:
        versions.make_live("tuned")
    assert gone.value.code == "version_gone"
    versions.add_adapter(folder, name="tuned")  # the same bytes bring it back
    assert versions.make_live("tuned").is_live
    with pytest.raises(NotFound):
        versions.forget("nothing")
