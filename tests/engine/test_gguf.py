"""A GGUF file becomes a folder the engine loads, or is refused before the work starts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from chatbot.engine.fetching import fetch_model
from chatbot.engine.folder_checks import verify_model_folder
from chatbot.engine.gguf import read_gguf_header
from chatbot.engine.manifest import ModelRefused
from tests.engine.tiny_files import HIDDEN, VOCABULARY, write_tiny_gguf


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, np.ndarray]]]:
    """One conversion for the tests of its result: it starts a process that imports torch."""
    place = tmp_path_factory.mktemp("gguf")
    weights = write_tiny_gguf(place / "Tiny Model.gguf")
    yield fetch_model(str(place / "Tiny Model.gguf"), models_dir=place / "models", progress=False), weights


def test_the_header_counts_parameters_and_bytes(tmp_path: Path) -> None:
    weights = write_tiny_gguf(tmp_path / "tiny.gguf")
    header = read_gguf_header(tmp_path / "tiny.gguf")
    assert header.architecture == "qwen2"
    assert header.licence == "cc0-1.0"
    assert header.parameters == sum(weight.size for weight in weights.values())
    assert 0 <= (tmp_path / "tiny.gguf").stat().st_size - header.end < 32


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "tiny.gguf"
    write_tiny_gguf(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(ModelRefused) as refusal:
        fetch_model(str(path), models_dir=tmp_path / "models", progress=False)
    assert refusal.value.code == "model_truncated"
    assert not (tmp_path / "models" / "tiny").exists()


def test_another_file_with_the_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"\x80\x04something else")
    with pytest.raises(ModelRefused) as refusal:
        read_gguf_header(tmp_path / "tiny.gguf")
    assert refusal.value.code == "model_wrong_shape"


def test_an_impossible_count_of_entries_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    write_tiny_gguf(path)
    damaged = bytearray(path.read_bytes())
    damaged[16:24] = b"\xff" * 8
    path.write_bytes(damaged)
    with pytest.raises(ModelRefused) as refusal:
        read_gguf_header(path)
    assert refusal.value.code in {"model_truncated", "model_wrong_shape"}


def test_the_converted_folder_is_complete(converted: tuple[Path, dict[str, np.ndarray]]) -> None:
    folder, _ = converted
    assert folder.name == "tiny-model"
    manifest = verify_model_folder(folder, full=True)
    assert set(manifest.files) == {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert manifest.source == "file:Tiny Model.gguf"
    assert manifest.licence == "cc0-1.0"
    assert manifest.converter["transformers"] == transformers.__version__
    config = json.loads((folder / "config.json").read_text())
    assert (config["model_type"], config["hidden_size"], config["vocab_size"]) == ("qwen2", HIDDEN, VOCABULARY)
    assert "quantization_config" not in config


def test_the_weights_are_the_file_s_in_bfloat16(converted: tuple[Path, dict[str, np.ndarray]]) -> None:
    folder, weights = converted
    tensors = load_file(folder / "model.safetensors")
    assert len(tensors) == len(weights)
    for name, theirs in {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.layers.0.mlp.up_proj.weight": "blk.0.ffn_up.weight",
        "model.layers.0.self_attn.k_proj.bias": "blk.0.attn_k.bias",
        "lm_head.weight": "output.weight",
    }.items():
        assert torch.equal(tensors[name], torch.from_numpy(weights[theirs]).to(torch.bfloat16)), name


def test_the_tokenizer_ends_answers_at_both_tokens(converted: tuple[Path, dict[str, np.ndarray]]) -> None:
    folder, _ = converted
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == [259, 257]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True)
    assert text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer.encode(text)
    assert ids[0] == 258 and ids.count(259) == 1
    assert tokenizer.decode(ids) == text
    assert tokenizer.model_max_length == 128


def test_a_second_fetch_does_nothing(converted: tuple[Path, dict[str, np.ndarray]], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = converted
    monkeypatch.setattr("chatbot.engine.fetching.convert_gguf", None)
    before = (folder / "manifest.json").read_bytes()
    source = folder.parent.parent / "Tiny Model.gguf"
    assert fetch_model(str(source), models_dir=folder.parent, progress=False) == folder
    assert (folder / "manifest.json").read_bytes() == before


def test_a_model_without_a_chat_template_is_refused_by_the_child(tmp_path: Path) -> None:
    write_tiny_gguf(tmp_path / "base.gguf", template=None)
    with pytest.raises(ModelRefused, match="instruct") as refusal:
        fetch_model(str(tmp_path / "base.gguf"), models_dir=tmp_path / "models", progress=False)
    assert refusal.value.code == "model_missing_file"
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".lock-base"]


def test_too_little_memory_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny_gguf(tmp_path / "tiny.gguf")
    monkeypatch.setattr("chatbot.engine.machine.available_memory_bytes", lambda: 1_000_000)
    monkeypatch.setattr("chatbot.engine.fetching.convert_gguf", None)
    with pytest.raises(ModelRefused, match=r"needs 1\.5 GB of memory") as refusal:
        fetch_model(str(tmp_path / "tiny.gguf"), models_dir=tmp_path / "models", progress=False)
    assert refusal.value.code == "model_memory"
