"""What a model folder must have and must not have before any of it is loaded.

Weights are safetensors and nothing else: a pickle runs code when it is read, whatever its name is. Nothing here loads a tensor:
headers are read, added up and held against the size of the file.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatbot.engine.manifest import MANIFEST_NAME, Manifest, ModelRefused, check_files, read_manifest

# The files of a model folder that are taken; everything else is left behind (int8.safetensors is the engine's own, made anew).
TAKEN_FILE = re.compile(
    r"config\.json|generation_config\.json|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json"
    r"|vocab\.json|merges\.txt|vocab\.txt|tokenizer\.model|chat_template\.(jinja|json)|LICEN[CS]E(\.txt|\.md)?"
    r"|(?!int8\.).+\.safetensors|.+\.safetensors\.index\.json"
)
PICKLE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".h5", ".msgpack"})
# Protocols 2 to 5, the zip torch.save writes, and its older form.
PICKLE_MAGIC = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04", b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19")
HEADER_MAX_BYTES = 100_000_000
JSON_MAX_BYTES = 256_000_000
DTYPE_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}


@dataclass(frozen=True)
class TensorHeader:
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def verify_model_folder(folder: Path, *, full: bool, progress: bool = False) -> Manifest:
    """Hold a fetched folder against its manifest and check its safetensors headers; hash every file again when `full`."""
    manifest = read_manifest(folder)
    check_files(folder, manifest, full=full, progress=progress)
    check_model_folder(folder)
    return manifest


def check_model_folder(folder: Path) -> dict[str, TensorHeader]:
    """Refuse a folder with pickles, outside links, own code, missing files or impossible weights. Returns the tensors by name."""
    if not folder.is_dir():
        raise ModelRefused("model_missing_file", f"{folder} is not a folder")
    paths = sorted(folder.iterdir())
    for path in paths:
        refuse_pickle_name(path)
        refuse_outside_link(path, folder=folder)
    taken = taken_files(folder)
    documents = {path.name: read_json(path) for path in taken if path.suffix == ".json"}
    for path in taken:
        if path.suffix not in {".json", ".safetensors"}:
            refuse_pickle_magic(path)
    check_documents(folder, documents)
    tensors: dict[str, TensorHeader] = {}
    for path in taken:
        if path.suffix == ".safetensors":
            tensors.update(read_safetensors_header(path))
    check_tensors(folder, documents, tensors)
    return tensors


def taken_files(folder: Path) -> list[Path]:
    """List the model's own files, in the order of their names."""
    return [path for path in sorted(folder.iterdir()) if TAKEN_FILE.fullmatch(path.name) and path.is_file()]


def refuse_pickle_name(path: Path) -> None:
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise ModelRefused(
            "model_pickle_refused",
            f"{path} is of a kind that can run code when read; only .safetensors weights are taken. Convert it, or, when the"
            " folder has safetensors too, remove it",
        )


def refuse_outside_link(path: Path, *, folder: Path) -> None:
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        raise ModelRefused(
            "model_symlink_refused", f"{path} points out of the folder; copy the files themselves first (cp -rL {folder} NEW)"
        )


def refuse_pickle_magic(path: Path) -> None:
    """Refuse a pickle behind another name."""
    with path.open("rb") as stream:
        start = stream.read(16)
    if start.startswith(PICKLE_MAGIC):
        raise ModelRefused("model_pickle_refused", f"{path} is a pickle or an archive under another name; it is not read")


def read_json(path: Path) -> Any:
    """Read a JSON file of the folder. Code that it would have loaded (`auto_map`) is refused."""
    refuse_pickle_magic(path)
    try:
        if path.stat().st_size > JSON_MAX_BYTES:
            raise ValueError(f"more than {JSON_MAX_BYTES} bytes")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelRefused("model_bad_json", f"{path} is not readable JSON ({error}); fetch it again") from error
    if isinstance(document, dict) and document.get("auto_map"):
        raise ModelRefused(
            "model_code_refused", f"{path} asks for Python code of its own (auto_map), which is never run; choose another model"
        )
    return document


def check_documents(folder: Path, documents: Mapping[str, Any]) -> None:
    """Require a configuration, a tokenizer and a chat template."""
    config = documents.get("config.json")
    if config is None:
        raise ModelRefused("model_missing_file", f"{folder} has no config.json; give the folder the model was saved to")
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise ModelRefused("model_bad_json", f"{folder / 'config.json'} names no model_type; fetch it again")
    if "tokenizer.json" not in documents and not (folder / "tokenizer.model").is_file() and "vocab.json" not in documents:
        raise ModelRefused("model_missing_file", f"{folder} has no tokenizer.json; take the tokenizer's files over too")
    tokenizer_config = documents.get("tokenizer_config.json")
    in_config = isinstance(tokenizer_config, dict) and bool(tokenizer_config.get("chat_template"))
    if not in_config and not any((folder / name).is_file() for name in ("chat_template.jinja", "chat_template.json")):
        raise ModelRefused("model_missing_file", f"{folder} has no chat template; choose the model's instruct or chat version")


def read_safetensors_header(path: Path) -> dict[str, TensorHeader]:
    """Read what a safetensors file says it holds, and prove that it holds it."""
    size_bytes = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(9)
        header_bytes = struct.unpack("<Q", start[:8])[0] if len(start) == 9 else None
        if header_bytes is None or header_bytes > HEADER_MAX_BYTES or start[8:] != b"{":
            refuse_pickle_magic(path)
            if header_bytes is None:
                raise ModelRefused("model_truncated", f"{path} ends after {size_bytes} bytes; fetch it again")
            raise ModelRefused("model_wrong_shape", f"{path} has no possible safetensors header; fetch it again")
        if 8 + header_bytes > size_bytes:
            raise ModelRefused("model_truncated", f"{path} ends inside its header; fetch it again")
        raw = start[8:] + stream.read(header_bytes - 1)
    try:
        entries = json.loads(raw)
        entries.pop("__metadata__", None)
        tensors = {
            str(name): TensorHeader(str(e["dtype"]), tuple(map(int, e["shape"])), *map(int, e["data_offsets"]))
            for name, e in entries.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelRefused("model_wrong_shape", f"{path} has a broken header ({error}); fetch it again") from error
    check_extents(path, tensors, data_bytes=size_bytes - 8 - header_bytes)
    return tensors


def check_extents(path: Path, tensors: Mapping[str, TensorHeader], *, data_bytes: int) -> None:
    """Prove that the tensors lie one after the other, each as long as its shape, and fill the file."""
    position = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        bits = DTYPE_BITS.get(tensor.dtype)
        if bits is None:
            raise ModelRefused("model_wrong_shape", f"{path}: {name} has the unknown type {tensor.dtype}")
        fits = tensor.end - tensor.start == math.prod(tensor.shape) * bits // 8 and min(tensor.shape, default=0) >= 0
        if tensor.start != position or not fits:
            raise ModelRefused("model_wrong_shape", f"{path}: the bytes of {name} do not match its shape; fetch it again")
        position = tensor.end
    if position > data_bytes:
        raise ModelRefused("model_truncated", f"{path} lacks {position - data_bytes} of {position} bytes; fetch it again")
    if position < data_bytes:
        raise ModelRefused("model_wrong_shape", f"{path} has {data_bytes - position} bytes too many; fetch it again")


def check_tensors(folder: Path, documents: Mapping[str, Any], tensors: Mapping[str, TensorHeader]) -> None:
    """Require the weights the index lists, and an embedding of the size the configuration says."""
    if not tensors:
        raise ModelRefused("model_missing_file", f"{folder} has no .safetensors weights; convert the model to safetensors first")
    index = documents.get("model.safetensors.index.json")
    missing = sorted(set(index.get("weight_map", {})) - set(tensors)) if isinstance(index, dict) else []
    if missing:
        raise ModelRefused("model_missing_file", f"{folder} lacks {len(missing)} tensors, {missing[0]} first; fetch it again")
    config = documents["config.json"]
    expected = (config.get("vocab_size"), config.get("hidden_size"))
    for name, tensor in tensors.items():
        if name.endswith("embed_tokens.weight") and None not in expected and tensor.shape != expected:
            raise ModelRefused("model_wrong_shape", f"{folder}: {name} is {tensor.shape}, config.json says {expected}")


def holds_manifest(folder: Path) -> bool:
    return (folder / MANIFEST_NAME).is_file()
