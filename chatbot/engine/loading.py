"""A model folder into a model ready to run. safetensors only; nothing of the folder's own code is ever run.

On a CPU with dtype "int8" the first start quantises the weights layer by layer and leaves `int8.safetensors` in the folder;
later starts read that file alone. The file names the weights it was made from and is ignored when they have changed.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from chatbot.engine.chat_format import ChatFormat
from chatbot.engine.folder_checks import read_json, read_safetensors_header, refuse_outside_link, refuse_pickle_name
from chatbot.engine.machine import require_disk, require_memory
from chatbot.engine.manifest import ModelRefused
from chatbot.engine.quantize import check_kernels, quantize_linears
from chatbot.engine.requests import EngineError

logger = logging.getLogger(__name__)

INT8_FILE = "int8.safetensors"
INT8_FORMAT = "2"  # raise it when quantize.py stores something else
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "int8": torch.bfloat16}


@dataclass(frozen=True)
class LoadedModel:
    """context_tokens: what the weights were made for; stop_tokens: ids that end an answer."""

    model: Any
    tokenizer: Any
    chat: ChatFormat
    stop_tokens: frozenset[int]
    context_tokens: int


def load_model(folder: Path, *, device: str, dtype: str, attention: str) -> LoadedModel:
    """Load weights, tokenizer and chat template. `attention` names the registered attention function.

    Raises EngineError (ModelRefused for what is wrong with the folder) with a code and a sentence that says what to do.
    """
    if dtype not in DTYPES:
        raise EngineError("bad_dtype", f"unknown dtype {dtype!r}: choose one of {', '.join(DTYPES)}")
    if dtype == "int8" and device != "cpu":
        raise EngineError("bad_dtype", "int8 is for the CPU; on a GPU choose bfloat16 or float16")
    weight_files = check_folder(folder)
    tokenizer = _load_tokenizer(folder)
    chat = ChatFormat(tokenizer)
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    try:
        if dtype == "int8":
            check_kernels()
            model = _load_int8(folder, config, attention=attention, weight_files=weight_files)
        else:
            _plan_memory(weight_files, element_bytes=DTYPES[dtype].itemsize, device=device)
            model = _load_plain(folder, dtype=DTYPES[dtype], attention=attention).to(device)
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError) as error:
        raise ModelRefused("model_does_not_load", f"the weights in {folder} do not load: {_first_line(error)}") from error
    model.eval()
    return LoadedModel(model, tokenizer, chat, _stop_tokens(folder, config, tokenizer), _context_tokens(config))


def check_folder(folder: Path) -> list[Path]:
    """Refuse pickles, outside links, own code and broken weight files. Returns the weight files."""
    if not folder.is_dir():
        raise ModelRefused("model_missing_file", f"{folder} is not a folder")
    for path in sorted(folder.iterdir()):
        refuse_pickle_name(path)
        refuse_outside_link(path, folder=folder)
        if path.suffix == ".json":
            read_json(path)
    if not (folder / "config.json").is_file():
        raise ModelRefused("model_missing_file", f"{folder} has no config.json; give the folder the model was saved to")
    weight_files = [path for path in sorted(folder.glob("*.safetensors")) if path.name != INT8_FILE]
    if not weight_files:
        raise ModelRefused("model_missing_file", f"{folder} has no .safetensors weights; fetch the model again")
    for path in weight_files:
        read_safetensors_header(path)
    return weight_files


def release_memory() -> None:
    """Give freed memory back to the system; glibc keeps it otherwise, and it counts as the worker's."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _load_tokenizer(folder: Path) -> Any:
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelRefused("model_does_not_load", f"the tokenizer in {folder} does not load: {_first_line(error)}") from error


def _load_plain(folder: Path, *, dtype: torch.dtype, attention: str) -> Any:
    loader: Any = AutoModelForCausalLM  # its types know nothing of the report
    model, report = loader.from_pretrained(
        folder,
        dtype=dtype,
        attn_implementation=attention,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    missing = sorted(report["missing_keys"]) + sorted(str(key[0]) for key in report["mismatched_keys"])
    if missing:
        raise ModelRefused("model_wrong_shape", f"{folder}: {len(missing)} tensors are missing or misshapen, {missing[0]} first")
    return model


def _load_int8(folder: Path, config: Any, *, attention: str, weight_files: list[Path]) -> Any:
    source = _source_identity(folder, weight_files)
    with contextlib.suppress(SafetensorError, KeyError, FileNotFoundError):
        return _load_stored_int8(folder, config, attention=attention, source=source)
    _plan_memory(weight_files, element_bytes=2, device="cpu")
    logger.info("quantising the weights in %s; later starts take seconds", folder)
    model = _load_plain(folder, dtype=torch.bfloat16, attention=attention)
    buffers = {f"buffer.{name}": tensor for name, tensor in model.named_buffers()}
    stored = dict(quantize_linears(model))
    stored |= {f"parameter.{name}": tensor.detach() for name, tensor in model.named_parameters()} | buffers
    _store_int8(folder, stored, source=source)
    stored.clear()
    release_memory()
    return model


def _store_int8(folder: Path, stored: dict[str, torch.Tensor], *, source: str) -> None:
    """Write the finished weights beside their source. A full or read-only disk costs only the next start's time."""
    part = folder / f"{INT8_FILE}.part"
    try:
        require_disk(folder, sum(tensor.nbytes for tensor in stored.values()))
        save_file({name: t.contiguous() for name, t in stored.items()}, part, metadata={"format": INT8_FORMAT, "source": source})
        part.replace(folder / INT8_FILE)
    except (OSError, ModelRefused, SafetensorError) as error:
        part.unlink(missing_ok=True)
        logger.warning("the quantised weights are not kept: %s", _first_line(error))


def _load_stored_int8(folder: Path, config: Any, *, attention: str, source: str) -> Any:
    """Build the model on the meta device and fill it from the stored file. Raises KeyError when the file does not fit."""
    with safe_open(folder / INT8_FILE, framework="pt") as file:
        if file.metadata() != {"format": INT8_FORMAT, "source": source}:
            raise KeyError("made from other weights")
        names = set(file.keys())
        require_memory(int((folder / INT8_FILE).stat().st_size * 1.1), purpose="the model")
        with torch.device("meta"):
            maker: Any = AutoModelForCausalLM
            model = maker.from_config(config, dtype=torch.bfloat16, attn_implementation=attention)
        for _ in quantize_linears(model, stored=_Lazy(file, names)):
            pass
        for kind, tensors in (("parameter", model.named_parameters()), ("buffer", model.named_buffers())):
            for name, _ in list(tensors):
                # A copy, because tensors of the open file are pages of it and would keep all of it in memory.
                _assign(model, name, file.get_tensor(f"{kind}.{name}").clone(), parameter=kind == "parameter")
    model.tie_weights()
    release_memory()
    return model


class _Lazy(dict[str, torch.Tensor]):
    """Reads tensors of an open file when they are asked for."""

    def __init__(self, file: Any, names: set[str]) -> None:
        super().__init__()
        self._file = file
        self._names = names

    def __missing__(self, name: str) -> torch.Tensor:
        tensor: torch.Tensor = self._file.get_tensor(name)
        return tensor

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self._names else default


def _assign(model: torch.nn.Module, name: str, tensor: torch.Tensor, *, parameter: bool) -> None:
    path, _, leaf = name.rpartition(".")
    owner = model.get_submodule(path)
    if getattr(owner, leaf).shape != tensor.shape:
        raise KeyError(f"{name} has another shape")
    if parameter:
        owner._parameters[leaf] = torch.nn.Parameter(tensor, requires_grad=False)
    else:
        owner._buffers[leaf] = tensor


def _source_identity(folder: Path, weight_files: list[Path]) -> str:
    """Name the weights: hashes from the manifest of a fetched folder, else sizes, times and headers of the files."""
    manifest = folder / "manifest.json"
    digest = hashlib.sha256(torch.__version__.encode())
    if manifest.is_file():
        listed = json.loads(manifest.read_text(encoding="utf-8")).get("files", {})
        digest.update(json.dumps(listed, sort_keys=True).encode())
    for path in weight_files:
        stat = path.stat()
        digest.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}".encode())
        with path.open("rb") as stream:
            digest.update(stream.read(65536))
    digest.update((folder / "config.json").read_bytes())
    return digest.hexdigest()


def _plan_memory(weight_files: list[Path], *, element_bytes: int, device: str) -> None:
    if device != "cpu":
        return
    tensors = [tensor for path in weight_files for tensor in read_safetensors_header(path).values()]
    elements = sum(torch.Size(tensor.shape).numel() for tensor in tensors)
    require_memory(int(elements * element_bytes * 1.05) + 200_000_000, purpose="loading the model")


def _stop_tokens(folder: Path, config: Any, tokenizer: Any) -> frozenset[int]:
    found: set[int] = set()
    sources = [config.eos_token_id, tokenizer.eos_token_id]
    if (folder / "generation_config.json").is_file():
        sources.append(GenerationConfig.from_pretrained(folder, local_files_only=True).eos_token_id)
    for value in sources:
        found.update([value] if isinstance(value, int) else value or [])
    return frozenset(found)


def _context_tokens(config: Any) -> int:
    """The shortest of the limits that a model states. Within one chunk of chunked attention there is nothing to cut off."""
    text = config.get_text_config()
    names = ("max_position_embeddings", "n_positions", "seq_length", "max_seq_len", "attention_chunk_size")
    return min((limit for name in names if isinstance(limit := getattr(text, name, None), int)), default=1 << 20)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
