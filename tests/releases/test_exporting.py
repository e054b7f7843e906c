from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chatbot.errors import Conflict, InvalidInput
from chatbot.releases import exporting, lineage, stages, versions
from chatbot.releases.models import ModelVersion

Make = Callable[..., Path]


def test_a_version_travels_with_its_lineage(base: ModelVersion, make_adapter: Make, tmp_path: Path) -> None:
    version = versions.add_adapter(make_adapter(), name="tuned")
    lineage.describe(version, {"dataset": "march", "method": "sft"}, trained_on=["abc"])
    folder = exporting.export_version("tuned", tmp_path / "out")
    assert "| dataset, SHA-256 | march" in (folder / "README.md").read_text()
    with pytest.raises(InvalidInput):
        exporting.export_version("tuned", folder)
    again = exporting.import_version(folder, name="tuned-elsewhere")
    assert again.lineage["dataset"] == "march" and again.trained_on == ["abc"]
    assert again.weights_sha256 == version.weights_sha256
    (folder / "lineage.json").write_text("[]")
    with pytest.raises(InvalidInput):
        exporting.import_version(folder, name="third")
    with pytest.raises(Conflict):
        exporting.export_version(base.name, tmp_path / "base")


def test_garbage_is_what_nobody_names(base: ModelVersion, make_adapter: Make) -> None:
    for number, name in enumerate(["live", "before", "said", "shadow", "old"]):
        versions.add_adapter(make_adapter(name, value=float(number + 1)), name=name)
    stages.to_live("before", reason="a reason that is long enough")
    stages.to_live("live", reason="a reason that is long enough")
    stages.to_shadow("shadow")
    assert [version.name for version in exporting.garbage({"said"})] == ["old"]
    stray = versions.adapter_folder(ModelVersion.objects.get(name="old")).with_name("stray")
    stray.mkdir()
    names, freed = exporting.collect({"said"})
    assert set(names) >= {"old", "stray"} and freed > 0 and not stray.exists()
    assert ModelVersion.objects.get(name="old").folder == "" and ModelVersion.objects.get(name="said").folder
