from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, MambaConfig

from chatbot.engine import loading, machine
from chatbot.engine.engine import BatchedEngine
from chatbot.engine.requests import ChatMessage, EngineError, GenerationRequest
from tests.engine.tiny_models import write_tiny_model

Patch = pytest.MonkeyPatch
Make = Callable[..., BatchedEngine]
ASK = GenerationRequest("r", [ChatMessage("user", "Where is my parcel?")], max_new_tokens=25)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny")


def refusal(folder: Path, *, dtype: str = "float32") -> EngineError:
    with pytest.raises(EngineError) as refused:
        BatchedEngine(folder, dtype=dtype, context_tokens=64).start()
    return refused.value


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_second_int8_start_reads_the_stored_weights(folder: Path, make_engine: Make, monkeypatch: Patch) -> None:
    first = make_engine(folder, dtype="int8").submit(ASK).output
    assert (folder / loading.INT8_FILE).is_file()
    monkeypatch.setattr(loading, "_load_plain", None)
    assert make_engine(folder, dtype="int8").submit(ASK).output.tokens == first.tokens


@pytest.mark.parametrize("shape", ["gpt2", "llama", "mistral", "gemma"])
def test_stored_weights_work_for_every_shape(shape: str, tmp_path: Path, make_engine: Make, monkeypatch: Patch) -> None:
    folder = write_tiny_model(tmp_path / shape, shape=shape)
    first = make_engine(folder, dtype="int8").submit(ASK).output
    monkeypatch.setattr(loading, "_load_plain", None)
    assert make_engine(folder, dtype="int8").submit(ASK).output.tokens == first.tokens


def test_changed_weights_are_quantised_again(folder: Path, make_engine: Make) -> None:
    first = make_engine(folder, dtype="int8").submit(ASK).output
    rewrite(folder, lambda tensors: tensors["model.layers.0.mlp.up_proj.weight"].neg_())
    assert make_engine(folder, dtype="int8").submit(ASK).output.tokens != first.tokens


def test_a_broken_store_is_made_again(folder: Path, make_engine: Make) -> None:
    first = make_engine(folder, dtype="int8").submit(ASK).output
    (folder / loading.INT8_FILE).write_bytes(b"broken")
    assert make_engine(folder, dtype="int8").submit(ASK).output.tokens == first.tokens
    assert (folder / loading.INT8_FILE).stat().st_size > 1000


def test_a_full_disk_costs_only_the_store(folder: Path, make_engine: Make, monkeypatch: Patch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loading, "save_file", full)
    assert make_engine(folder, dtype="int8").submit(ASK).output.finish_reason == "length"
    assert not list(folder.glob("int8*"))


def test_pickles_are_refused_unread(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))
    assert refusal(folder).code == "model_pickle_refused"


def test_own_code_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModelForCausalLM": "evil.Model"}}))
    assert refusal(folder).code == "model_code_refused"


def test_a_missing_folder_or_file_is_named(folder: Path, tmp_path: Path) -> None:
    assert refusal(tmp_path / "nothing").code == "model_missing_file"
    (folder / "model.safetensors").unlink()
    assert refusal(folder).code == "model_missing_file"


def test_truncated_and_oversized_weights_are_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    assert refusal(folder).code == "model_truncated"
    weights.write_bytes(whole + b"\0" * 8)
    assert refusal(folder).code == "model_wrong_shape"
    weights.write_bytes(struct.pack("<Q", 1 << 60) + whole[8:])
    assert refusal(folder).code == "model_wrong_shape"


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_missing_and_misshapen_tensors_are_refused(folder: Path, dtype: str) -> None:
    name = "model.layers.1.mlp.up_proj.weight"
    rewrite(folder, lambda tensors: tensors.update({name: torch.zeros(3, 5)}))
    assert refusal(folder, dtype=dtype).code in {"model_wrong_shape", "model_does_not_load"}
    rewrite(folder, lambda tensors: tensors.__delitem__(name))
    refused = refusal(folder, dtype=dtype)
    assert refused.code == "model_wrong_shape"
    assert name in str(refused)


def test_a_broken_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    assert refusal(folder).code == "model_does_not_load"


def test_too_little_memory_is_refused_with_both_numbers(folder: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(machine, "available_memory_bytes", lambda: 1000)
    refused = refusal(folder)
    assert refused.code == "model_memory"
    assert "GB" in str(refused)


def test_unknown_and_unfit_dtypes_are_refused(folder: Path) -> None:
    assert refusal(folder, dtype="int3").code == "bad_dtype"
    with pytest.raises(EngineError, match="GPU"):
        BatchedEngine(folder, dtype="int8", device="cuda").start()


def test_a_model_without_keys_and_values_is_refused(folder: Path) -> None:
    config = MambaConfig(hidden_size=64, num_hidden_layers=2, vocab_size=260)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    assert refusal(folder).code == "unsupported_model"


def test_bfloat16_answers(folder: Path, make_engine: Make) -> None:
    assert make_engine(folder, dtype="bfloat16").submit(ASK).output.completion_tokens == 25
