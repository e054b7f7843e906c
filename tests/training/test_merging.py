"""Merged weights are what peft merges, in one file or several; what does not fit is refused with a code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from chatbot.engine.folder_checks import check_model_folder
from chatbot.training import merging
from tests.engine.tiny_adapters import with_adapter, write_adapter
from tests.engine.tiny_models import write_tiny_model


def run(base: Path, adapter: Path, out: Path) -> int:
    out.mkdir()
    return merging.main(["--model", str(base), "--adapter", str(adapter), "--out", str(out)])


def stored(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}


@pytest.mark.parametrize("shape", ["qwen2", "gpt2"])
def test_merges_as_peft_does(shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = write_tiny_model(tmp_path / "base", shape=shape)
    adapter = write_adapter(tmp_path / "adapter", base, shape=shape)
    wanted = with_adapter(base, adapter).merge_and_unload().state_dict()
    assert run(base, adapter, tmp_path / "whole") == 0
    found, before = stored(tmp_path / "whole"), stored(base)
    assert set(found) == set(before) and any(not torch.equal(found[name], before[name]) for name in found)
    for name, tensor in found.items():
        key = name if name in wanted else f"transformer.{name}"
        assert torch.allclose(tensor, wanted[key], atol=1e-5), name
    monkeypatch.setattr(merging, "SHARD_BYTES", 100_000)
    assert run(base, adapter, tmp_path / "parts") == 0
    index = json.loads((tmp_path / "parts/model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 2 and set(check_model_folder(tmp_path / "parts")) == set(found)
    assert all(torch.equal(tensor, found[name]) for name, tensor in stored(tmp_path / "parts").items())


def test_what_cannot_be_merged_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = write_tiny_model(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", base)
    weights = load_file(base / "model.safetensors")
    renamed = {name.replace("self_attn", "attention"): tensor for name, tensor in weights.items()}
    save_file(renamed, base / "model.safetensors", metadata={"format": "pt"})
    assert run(base, adapter, tmp_path / "a") == 1 and "[merge_unknown_layer]" in capsys.readouterr().err
    save_file(
        {name: t.to(torch.float8_e4m3fn) if "proj" in name else t for name, t in weights.items()}, base / "model.safetensors"
    )
    assert run(base, adapter, tmp_path / "b") == 1 and "[merge_quantised_base]" in capsys.readouterr().err
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})

    def full(*where: object, **how: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(merging, "save_file", full)
    assert run(base, adapter, tmp_path / "c") == 1 and "[disk_full]" in capsys.readouterr().err
