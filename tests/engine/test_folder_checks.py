"""What a model folder is refused for. Each case breaks one thing of a folder that passes."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from chatbot.engine.folder_checks import check_model_folder, read_safetensors_header
from chatbot.engine.manifest import ModelRefused
from tests.engine.tiny_files import safetensors_bytes, with_header, write_model_folder


def test_a_right_folder_passes(tmp_path: Path) -> None:
    tensors = check_model_folder(write_model_folder(tmp_path / "model"))
    assert {name: tensor.shape for name, tensor in tensors.items()} == {"model.embed_tokens.weight": (8, 4), "norm.weight": (4,)}


def test_the_engine_s_own_int8_file_is_not_part_of_the_model(tmp_path: Path) -> None:
    folder = write_model_folder(tmp_path / "model")
    (folder / "int8.safetensors").write_bytes(b"half written")
    assert len(check_model_folder(folder)) == 2


def edit(name: str, **changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        document = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**document, **changes}))

    return change


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def link_outside(folder: Path) -> None:
    (folder.parent / "secret.json").write_text("{}")
    (folder / "added_tokens.json").symlink_to(folder.parent / "secret.json")


def cut(name: str, count: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-count]) and None


WEIGHTS = "model.safetensors"
NO_DATA = {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}
OVERLAP = {**NO_DATA, "b": {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]}}
CASES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a pickle by name": ("model_pickle_refused", write("pytorch_model.bin", b"anything")),
    "a pickle by name in capitals": ("model_pickle_refused", write("optimizer.PT", b"anything")),
    "a pickle as weights": ("model_pickle_refused", write(WEIGHTS, pickle.dumps({"a": list(range(99))}, protocol=4))),
    "an archive as weights": ("model_pickle_refused", write(WEIGHTS, b"PK\x03\x04" + bytes(99))),
    "a pickle as tokenizer": ("model_pickle_refused", write("tokenizer.model", pickle.dumps([1], protocol=2))),
    "a pickle as JSON": ("model_pickle_refused", write("tokenizer.json", pickle.dumps({}, protocol=5))),
    "a link out of the folder": ("model_symlink_refused", link_outside),
    "own code": ("model_code_refused", edit("config.json", auto_map={"AutoModel": "modeling.Mine"})),
    "own code of the tokenizer": ("model_code_refused", edit("tokenizer_config.json", auto_map={"AutoTokenizer": ["x.Y", None]})),
    "no configuration": ("model_missing_file", remove("config.json")),
    "no tokenizer": ("model_missing_file", remove("tokenizer.json")),
    "no chat template": ("model_missing_file", edit("tokenizer_config.json", chat_template=None)),
    "no weights": ("model_missing_file", remove(WEIGHTS)),
    "a tensor of the index missing": (
        "model_missing_file",
        write("model.safetensors.index.json", json.dumps({"weight_map": {"lm_head.weight": "model-2.safetensors"}}).encode()),
    ),
    "broken JSON": ("model_bad_json", write("config.json", b"{")),
    "JSON in another encoding": ("model_bad_json", write("config.json", '{"model_type": "é"}'.encode("latin-1"))),
    "bottomless JSON": ("model_bad_json", write("tokenizer.json", b"[" * 200_000)),
    "a configuration that is no object": ("model_bad_json", write("config.json", b"[]")),
    "weights cut short": ("model_truncated", cut(WEIGHTS, 5)),
    "weights of five bytes": ("model_truncated", write(WEIGHTS, b"\x01\0\0\0\0")),
    "a header cut short": ("model_truncated", write(WEIGHTS, struct.pack("<Q", 500) + b"{")),
    "a header too large": ("model_wrong_shape", write(WEIGHTS, struct.pack("<Q", 1 << 40) + b"{" + bytes(99))),
    "a header that is no JSON": ("model_wrong_shape", write(WEIGHTS, struct.pack("<Q", 3) + b"{x}")),
    "a header without offsets": ("model_wrong_shape", write(WEIGHTS, with_header({"a": {"dtype": "F32"}}, data=b""))),
    "bytes too many": ("model_wrong_shape", write(WEIGHTS, with_header(NO_DATA, data=bytes(20)))),
    "tensors that overlap": ("model_wrong_shape", write(WEIGHTS, with_header(OVERLAP, data=bytes(24)))),
    "a shape that is not its bytes": (
        "model_wrong_shape",
        write(WEIGHTS, with_header({"a": {**NO_DATA["a"], "shape": [5]}}, data=bytes(16))),
    ),
    "an unknown type": ("model_wrong_shape", write(WEIGHTS, with_header({"a": {**NO_DATA["a"], "dtype": "Q4"}}, data=bytes(16)))),
    "an embedding of another size": ("model_wrong_shape", edit("config.json", vocab_size=9)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_folder_is_refused(tmp_path: Path, case: str) -> None:
    code, damage = CASES[case]
    folder = write_model_folder(tmp_path / "model")
    damage(folder)
    with pytest.raises(ModelRefused) as refusal:
        check_model_folder(folder)
    assert refusal.value.code == code
    assert str(folder) in str(refusal.value)


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    folder = write_model_folder(tmp_path / "model")
    (folder / "tokenizer.json").rename(folder / "original")
    (folder / "tokenizer.json").symlink_to("original")
    assert check_model_folder(folder)


def test_types_narrower_than_a_byte_are_counted_in_bits(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(with_header({"a": {"dtype": "F4", "shape": [6], "data_offsets": [0, 3]}}, data=bytes(3)))
    assert read_safetensors_header(path)["a"].end == 3


def test_a_header_length_that_looks_like_a_pickle_is_weights(tmp_path: Path) -> None:
    """A header of 0x480 bytes starts with the first two bytes of a pickle of protocol 4."""
    path = tmp_path / "model.safetensors"
    raw = safetensors_bytes({"a": (2,)})
    header = raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]].ljust(0x480)
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    assert path.read_bytes()[:2] == b"\x80\x04"
    assert read_safetensors_header(path)["a"].shape == (2,)
