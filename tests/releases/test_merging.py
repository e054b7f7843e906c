"""An adapter merged into its base: a version with lineage and hashes, or nothing at all; and how workers come to run it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatbot.engine.fetching import resolve_model
from chatbot.engine.manifest import ModelRefused, read_manifest
from chatbot.errors import Conflict
from chatbot.releases import exporting, lineage, merging, stages, versions
from chatbot.releases.models import ModelVersion
from chatbot.training import merging as script
from tests.engine.tiny_adapters import write_adapter
from tests.engine.tiny_models import write_tiny_model


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Base weights, and an adapter on them."""
    folder = tmp_path_factory.mktemp("made")
    base = write_tiny_model(folder / "tiny-base")
    return base, write_adapter(folder / "adapter", base)


@pytest.fixture
def tuned(db: None, made: tuple[Path, Path]) -> ModelVersion:
    versions.record_loaded("tiny-base", folder=made[0])
    version = versions.add_adapter(made[1], name="tuned")
    lineage.describe(version, {"dataset": "march", "method": "sft"}, trained_on=["abc"])
    return version


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script's work without its process, whose start takes longer than all the rest."""

    def run(arguments: list[str], *, keep: int | None = None) -> str:
        assert script.main(arguments) == 0
        return ""

    monkeypatch.setattr(merging, "_run", run)


def left_in(models_dir: Path) -> set[str]:
    return {path.name for path in [*models_dir.iterdir(), *(models_dir / ".merging").iterdir()]}


def test_merged_weights_are_a_version_of_their_own(tuned: ModelVersion, models_dir: Path, tmp_path: Path, settings: Any) -> None:
    merged = merging.merge(tuned)
    assert merged.name == "tuned-merged" and merged.kind == "merged" and merged.root == merged and not merged.is_live
    assert merged.lineage["base"] == "tiny-base" and merged.lineage["adapter"] == "tuned" and merged.lineage["dataset"] == "march"
    assert merged.trained_on == ["abc"] and merged.size_bytes > 0
    folder = resolve_model("tuned-merged", models_dir=models_dir)
    assert versions.verify_files(merged) == folder and read_manifest(folder).source == "merged:tuned"
    assert "The adapter tuned, merged into the weights of tiny-base" in (folder / "README.md").read_text()
    assert left_in(models_dir) == {"adapters", "tuned-merged", ".merging", "lock"}
    with pytest.raises(Conflict, match="merged already"):
        merging.merge(tuned)
    with pytest.raises(Conflict, match="set MODEL=tuned-merged"):
        stages.to_live("tuned-merged")
    with pytest.raises(Conflict, match="those that MODEL names"):
        stages.to_canary("tuned-merged", percent=5)
    out = exporting.export_version("tuned-merged", tmp_path / "out")
    again = exporting.import_version(out, name="elsewhere")
    assert again.merged_from == "tuned" and again.weights_sha256 == merged.weights_sha256 and again.trained_on == ["abc"]


def test_workers_started_with_them_and_back(tuned: ModelVersion, made: tuple[Path, Path], models_dir: Path) -> None:
    stages.to_live("tuned", reason="a reason that is long enough")
    merged = merging.merge(tuned)
    assert versions.record_loaded("tuned-merged", folder=models_dir / "tuned-merged") == merged
    assert str(versions.live_version()) == "tuned-merged"
    with pytest.raises(Conflict, match="live version or base weights"):
        versions.forget("tuned-merged")
    versions.record_loaded("tiny-base", folder=made[0])
    assert str(versions.live_version()) == "tuned"  # what had answered on the base answers on it again
    assert [version.name for version in exporting.garbage(set())] == ["tuned-merged"]
    assert exporting.garbage({"tuned-merged"}) == []
    other = ModelVersion.objects.get(name="tuned-merged")
    manifest = json.loads((models_dir / "tuned-merged/manifest.json").read_text())
    (models_dir / "tuned-merged/manifest.json").write_text(json.dumps(manifest | {"source_sha256": "0" * 64}))
    with pytest.raises(ModelRefused, match="not what was merged"):
        versions.record_loaded("tuned-merged", folder=Path(other.folder))


def test_a_merge_that_fails_or_dies_leaves_nothing(
    tuned: ModelVersion, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half_way(arguments: list[str], *, keep: int | None = None) -> str:
        (Path(arguments[-1]) / "model.safetensors").write_bytes(b"half")
        raise next(errors)

    errors = iter([OSError(28, "No space left on device"), ModelRefused("killed", "killed")])
    monkeypatch.setattr(merging, "_run", half_way)
    for _ in range(2):
        with pytest.raises(ModelRefused):
            merging.merge(tuned)
        assert left_in(models_dir) == {"adapters", ".merging", "lock"} and not ModelVersion.objects.filter(base=None)[1:]
    (models_dir / ".merging/tuned-merged").mkdir()  # a worker that was killed
    merging.sweep()
    assert left_in(models_dir) == {"adapters", ".merging", "lock"}
    with merging._only_one(), pytest.raises(Conflict, match="Another merge"):
        merging.merge(tuned)
    with pytest.raises(Conflict, match="only adapters"):
        merging.merge(tuned.root)


@pytest.mark.parametrize(("code", "said", "wanted"), [(1, "no room [model_disk_full]", "model_disk_full"), (-9, "", "killed")])
def test_what_the_process_says_is_passed_on(code: int, said: str, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    done: Callable[..., Any] = lambda *_, **__: subprocess.CompletedProcess([], code, "", said)  # noqa: E731
    monkeypatch.setattr(subprocess, "run", done)
    with pytest.raises(ModelRefused) as refused:
        merging._run(["--model", os.devnull])
    assert refused.value.code == wanted


def test_speed_is_the_best_of_both_in_turn(tuned: ModelVersion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = iter([10.0, 11.0, 8.0, 12.0])
    monkeypatch.setattr(merging, "_run", lambda arguments: f'noise\n{{"tokens_per_s": {next(told)}}}\n')
    assert merging.speed_ratio(tuned, tuned.root, prompts=tmp_path) == {"before": 10.0, "after": 12.0, "ratio": 1.2}
