"""A tiny random model in the layout of sentence-transformers, held against pooling by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from chatbot.engine.folder_embedder import EmbedderFolderError, FolderEmbedder, read_recipe

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "query", ":", "where", "is", "my", "parcel", "return", "it", "退", "货"]


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(tmp_path)
    steps = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    write(tmp_path / "modules.json", [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in steps])
    write(tmp_path / "1_Pooling/config.json", {"pooling_mode_mean_tokens": True})
    write(tmp_path / "sentence_bert_config.json", {"max_seq_length": 16})
    return tmp_path


def states(folder: Path, text: str) -> torch.Tensor:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    with torch.inference_mode():
        return model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]


def unit(row: torch.Tensor) -> np.ndarray:
    return (row / row.norm()).numpy()


def test_the_mean_of_the_tokens_in_a_padded_batch(folder: Path) -> None:
    texts = ["where is my parcel", "return", "退 货"]
    found = FolderEmbedder(folder).encode(texts)
    assert found.shape == (3, 16) and found.dtype == np.float32
    for row, text in zip(found, texts, strict=True):
        assert np.allclose(row, unit(states(folder, text).mean(dim=0)), atol=1e-5)


@pytest.mark.parametrize(
    ("mode", "by_hand"),
    [
        ("pooling_mode_cls_token", lambda s: s[0]),
        ("pooling_mode_lasttoken", lambda s: s[-1]),
        ("pooling_mode_max_tokens", lambda s: s.max(dim=0).values),
        ("pooling_mode_weightedmean_tokens", lambda s: (s * torch.arange(1, len(s) + 1)[:, None]).sum(dim=0)),
    ],
)
def test_other_poolings(folder: Path, mode: str, by_hand: Any) -> None:
    write(folder / "1_Pooling/config.json", {mode: True})
    found = FolderEmbedder(folder).encode(["return it", "where is my parcel"])
    assert np.allclose(found[0], unit(by_hand(states(folder, "return it"))), atol=1e-5)


def test_the_query_prompt_and_lower_case_come_from_the_files(folder: Path) -> None:
    plain = FolderEmbedder(folder).encode(["query : return it"])
    write(folder / "config_sentence_transformers.json", {"prompts": {"query": "query : ", "passage": "parcel "}})
    write(folder / "sentence_bert_config.json", {"max_seq_length": 16, "do_lower_case": True})
    assert np.allclose(FolderEmbedder(folder).encode(["Return It"]), plain, atol=1e-5)


def test_a_dense_step_follows_the_pooling(folder: Path) -> None:
    weight, bias = torch.randn(5, 16), torch.randn(5)
    steps = json.loads((folder / "modules.json").read_text())
    write(folder / "modules.json", [*steps[:2], {"type": "sentence_transformers.models.Dense", "path": "2_Dense"}])
    write(
        folder / "2_Dense/config.json",
        {"in_features": 16, "out_features": 5, "activation_function": "torch.nn.Tanh"},
    )
    save_file({"linear.weight": weight, "linear.bias": bias}, folder / "2_Dense/model.safetensors")
    embedder = FolderEmbedder(folder)
    assert embedder.dimensions == 5 and embedder.parts == (5,)
    expected = torch.tanh(weight @ states(folder, "return it").mean(dim=0) + bias)
    assert np.allclose(embedder.encode(["return it"])[0], unit(expected), atol=1e-5)


def test_long_texts_are_cut_and_empty_ones_embedded(folder: Path) -> None:
    found = FolderEmbedder(folder).encode(["parcel " * 500, "", "\x00"])
    assert np.isfinite(found).all() and np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-4)


def test_no_texts_give_no_rows(folder: Path) -> None:
    assert FolderEmbedder(folder).encode([]).shape == (0, 16)


def test_the_name_changes_with_what_makes_the_vectors(folder: Path) -> None:
    before = read_recipe(folder).name
    assert read_recipe(folder).name == before
    write(folder / "1_Pooling/config.json", {"pooling_mode_cls_token": True})
    assert read_recipe(folder).name != before


@pytest.mark.parametrize(
    ("file", "content", "word"),
    [
        ("config.json", {"hidden_size": 16, "auto_map": {"AutoModel": "evil.Model"}}, "code of its own"),
        ("modules.json", [{"type": "evil.models.Custom", "path": ""}], "not supported"),
        ("1_Pooling/config.json", {"pooling_mode": "attention"}, "not supported"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(folder: Path, file: str, content: Any, word: str) -> None:
    write(folder / file, content)
    with pytest.raises(EmbedderFolderError, match=word):
        FolderEmbedder(folder)


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(EmbedderFolderError, match="safetensors"):
        FolderEmbedder(folder)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbedderFolderError, match="not a folder"):
        FolderEmbedder(tmp_path / "nowhere")
