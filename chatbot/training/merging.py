"""Put a LoRA adapter into its base weights: a model folder of its own, which runs without two thin products more a layer.

    python -m chatbot.training.merging --model FOLDER --adapter FOLDER --out FOLDER
    python -m chatbot.training.merging --time PROMPTS --model FOLDER [--adapter FOLDER]

The first writes weights, configuration and tokenizer into the empty folder --out. One tensor is held after the other: W + B A in
float32, rounded once to what W is stored in. The second prints how many tokens a second a version writes, as a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from chatbot.engine.adapter_folder import CONFIG_FILE, read_adapter_folder
from chatbot.engine.device import choose_device
from chatbot.engine.engine import BatchedEngine
from chatbot.engine.folder_checks import check_model_folder, read_safetensors_header, taken_files
from chatbot.engine.lora import LoraWeights, read_weights
from chatbot.engine.machine import require_disk, require_memory
from chatbot.engine.manifest import ModelRefused
from chatbot.engine.requests import ChatMessage, EngineError, GenerationRequest
from chatbot.training.evaluate import AT_ONCE, CANDIDATE, CONTEXT_TOKENS, DEADLINE_S
from chatbot.training.failures import EXIT_FAILED, explained

SHARD_BYTES = 1 << 30
WHOLE_TYPES = frozenset({"F32", "F16", "BF16"})
TIMED_PROMPTS = 16
TIMED_TOKENS = 48


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of the base weights")
    parser.add_argument("--adapter", type=Path, help="folder of a LoRA adapter")
    parser.add_argument("--out", type=Path, help="the merged model's folder, empty")
    parser.add_argument("--time", type=Path, help="a file of prompts, as of chatbot.training.evaluate; nothing is merged")
    options = parser.parse_args(arguments)
    if not options.time and not (options.adapter and options.out):
        parser.error("name --adapter and --out to merge, or --time to measure")
    try:
        if options.time:
            print(json.dumps(speed_of(options.model, options.adapter, options.time)))
        else:
            merge(options.model, options.adapter, options.out)
    except Exception as error:
        known = error if isinstance(error, EngineError) else explained(error)
        print(f"{known} [{known.code}]", file=sys.stderr)
        return EXIT_FAILED
    return 0


def merge(base: Path, adapter_folder: Path, out: Path) -> None:
    """Write the merged model. Raises EngineError with a code for what does not fit."""
    stored = check_model_folder(base)
    adapter = read_adapter_folder(adapter_folder)
    weights = read_weights(adapter, dtype=torch.float32, device=torch.device("cpu"))
    missing = [path for path in weights if f"{path}.weight" not in stored]
    if missing:
        told = f"{len(missing)} layers of the adapter stand under other names in {base}, {missing[0]} first"
        raise ModelRefused("merge_unknown_layer", f"{told}; this model cannot be merged, its adapters run as they are")
    odd = [path for path in weights if stored[f"{path}.weight"].dtype not in WHOLE_TYPES]
    if odd:
        raise ModelRefused("merge_quantised_base", f"{base} is quantised ({odd[0]}); merge into its whole weights")
    size_bytes = sum(tensor.end - tensor.start for tensor in stored.values())
    files = [path for path in taken_files(base) if ".safetensors" not in path.name]
    require_disk(out, size_bytes + sum(path.stat().st_size for path in files))
    require_memory(2 * min(size_bytes, SHARD_BYTES) + 500_000_000, purpose="merging")
    for path in files:
        shutil.copyfile(path, out / path.name)
    turned = bool(json.loads((adapter_folder / CONFIG_FILE).read_text()).get("fan_in_fan_out"))
    _write(out, _shards(base), weights, turned=turned)


def _shards(base: Path) -> list[list[tuple[Path, str]]]:
    """Which tensors, of which of the base's files, go together into one file."""
    shards: list[list[tuple[Path, str]]] = [[]]
    filled = 0
    for path in [path for path in taken_files(base) if path.suffix == ".safetensors"]:
        for name, tensor in read_safetensors_header(path).items():
            size_bytes = tensor.end - tensor.start
            if shards[-1] and filled + size_bytes > SHARD_BYTES:
                shards.append([])
                filled = 0
            shards[-1].append((path, name))
            filled += size_bytes
    return shards


def _write(out: Path, shards: Sequence[Sequence[tuple[Path, str]]], weights: Mapping[str, LoraWeights], *, turned: bool) -> None:
    placed: dict[str, str] = {}
    total_bytes = 0
    for number, shard in enumerate(shards, start=1):
        name = "model.safetensors" if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        tensors = dict(_merged(shard, weights, turned=turned))
        save_file(tensors, out / name, metadata={"format": "pt"})
        placed |= dict.fromkeys(tensors, name)
        total_bytes += sum(tensor.nbytes for tensor in tensors.values())
    if len(shards) > 1:
        index = {"metadata": {"total_size": total_bytes}, "weight_map": placed}
        (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")


def _merged(
    shard: Sequence[tuple[Path, str]], weights: Mapping[str, LoraWeights], *, turned: bool
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of a shard, the adapted ones changed. turned: the layers store (in, out)."""
    for path in dict.fromkeys(path for path, _ in shard):
        with safe_open(path, framework="pt") as file:
            for name in [name for source, name in shard if source == path]:
                tensor = file.get_tensor(name)
                own = weights.get(name.removesuffix(".weight"))
                yield name, tensor.clone() if own is None else _sum(name, tensor, own, turned=turned)


def _sum(name: str, tensor: torch.Tensor, own: LoraWeights, *, turned: bool) -> torch.Tensor:
    delta = own.up @ own.down
    delta = delta.t() if turned else delta
    if delta.shape != tensor.shape:
        raise ModelRefused("adapter_wrong_base", f"{name} is {tuple(tensor.shape)}, the adapter's is {tuple(delta.shape)}")
    merged = (tensor.float() + delta).to(tensor.dtype)
    if not torch.isfinite(merged).all():
        raise ModelRefused("adapter_not_finite", f"merged, {name} holds values that are no numbers; train the adapter again")
    return merged.contiguous()


def speed_of(model: Path, adapter: Path | None, prompts: Path) -> dict[str, float]:
    """Let a version answer the first prompts of a file, as many at once as the comparison does."""
    lines = [json.loads(line) for line in prompts.read_text(encoding="utf-8").splitlines()][:TIMED_PROMPTS]
    device, dtype = choose_device("auto", "auto")
    engine = BatchedEngine(
        model, device=device, dtype=dtype, max_running=AT_ONCE, max_waiting=TIMED_PROMPTS, context_tokens=CONTEXT_TOKENS
    )
    engine.start()
    try:
        if adapter:
            engine.load_version(CANDIDATE, adapter)
        version = CANDIDATE if adapter else ""
        _ask(engine, lines[:1], version=version)  # what is made at the first question is made now
        began = time.monotonic()
        tokens = _ask(engine, lines, version=version)
        seconds = time.monotonic() - began
    finally:
        engine.stop()
    return {"tokens": tokens, "seconds": round(seconds, 3), "tokens_per_s": round(tokens / max(seconds, 1e-6), 2)}


def _ask(engine: BatchedEngine, lines: Sequence[Mapping[str, Any]], *, version: str) -> int:
    handles = [
        engine.submit(
            GenerationRequest(
                request_id=line["id"],
                messages=[ChatMessage(**message) for message in line["messages"]],
                max_new_tokens=TIMED_TOKENS,
                deadline_s=DEADLINE_S,
                version=version,
            )
        )
        for line in lines
    ]
    outputs = [handle.output for handle in handles]
    for output in outputs:
        if output.finish_reason == "error":
            raise EngineError(output.error_code or "internal", "the engine could not write an answer")
    return sum(output.completion_tokens for output in outputs)


if __name__ == "__main__":
    sys.exit(main())
