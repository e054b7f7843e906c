"""What a LoRA adapter's folder, in peft's format, must have and must not have. Loads no tensor and no torch.

Two files count: `adapter_config.json` and `adapter_model.safetensors`. Whatever would change the arithmetic in a way this engine
does not do is refused, not ignored: an adapter that runs half answers wrongly and looks right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatbot.engine.folder_checks import TensorHeader, read_json, read_safetensors_header, refuse_outside_link, refuse_pickle_name
from chatbot.engine.manifest import ModelRefused

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
MAX_BYTES = 2 << 30
MAX_CONFIG_BYTES = 1 << 20
MAX_RANK = 1024
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", re.ASCII)
TENSOR = re.compile(r"base_model\.model\.(?P<layer>[\w.]+)\.lora_(?P<side>[AB])\.weight", re.ASCII)
FLOAT_TYPES = frozenset({"F32", "F16", "BF16"})
# Settings of a LoraConfig that say nothing about the arithmetic of a finished adapter.
HARMLESS = frozenset(
    [
        "peft_type",
        "task_type",
        "base_model_name_or_path",
        "revision",
        "auto_mapping",
        "peft_version",
        "inference_mode",
        "r",
        "lora_alpha",
        "use_rslora",
        "bias",
        "rank_pattern",
        "alpha_pattern",
        "fan_in_fan_out",
        "target_modules",
        "exclude_modules",
        "layers_to_transform",
        "layers_pattern",
        "lora_dropout",
        "init_lora_weights",
        "eva_config",
        "loftq_config",
        "corda_config",
        "lora_ga_config",
        "runtime_config",
        "megatron_core",
        "qalora_group_size",
        "ensure_weight_tying",
    ]
)
# Ways to start the training that leave the base weights alone; the others (PiSSA, OLoRA, ...) change them.
HARMLESS_STARTS = (True, False, None, "gaussian", "orthogonal", "eva")


@dataclass(frozen=True)
class LoraLayer:
    """One adapted linear layer: its path in the base model, its shape, and what the product of its matrices is multiplied by."""

    path: str
    in_features: int
    out_features: int
    rank: int
    scaling: float


@dataclass(frozen=True)
class AdapterFolder:
    """targets: names every matching layer of the base must be adapted for; empty where the configuration does not list them."""

    folder: Path
    base_name: str
    layers: Mapping[str, LoraLayer]
    targets: tuple[str, ...]
    size_bytes: int


def check_name(name: str) -> None:
    if not NAME.fullmatch(name) or ".." in name:
        raise ModelRefused("adapter_bad_name", "name an adapter with up to 80 letters, digits, dots, dashes and underscores")


def read_adapter_folder(folder: Path) -> AdapterFolder:
    """Check the folder and return what its files say. Raises ModelRefused with a code and what to do."""
    if not folder.is_dir():
        raise ModelRefused("model_missing_file", f"{folder} is not a folder; give the one peft saved the adapter to")
    for path in sorted(folder.iterdir()):
        refuse_pickle_name(path)
        refuse_outside_link(path, folder=folder)
    for name, most_bytes in ((CONFIG_FILE, MAX_CONFIG_BYTES), (WEIGHTS_FILE, MAX_BYTES)):
        path = folder / name
        if not path.is_file():
            raise ModelRefused("model_missing_file", f"{folder} has no {name}; save the adapter with peft's save_pretrained")
        if path.stat().st_size > most_bytes:
            raise ModelRefused("adapter_too_large", f"{path} has more than {most_bytes:,} bytes; train with a smaller r")
    config = _read_config(folder / CONFIG_FILE)
    layers = _layers(folder / WEIGHTS_FILE, config, read_safetensors_header(folder / WEIGHTS_FILE))
    return AdapterFolder(
        folder=folder,
        base_name=str(config.get("base_model_name_or_path") or "a model it does not name"),
        layers=layers,
        targets=_targets(config),
        size_bytes=(folder / WEIGHTS_FILE).stat().st_size,
    )


def _read_config(path: Path) -> dict[str, Any]:
    config = read_json(path)
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise ModelRefused("adapter_unsupported", f"{path} is not of a LoRA adapter in peft's format; other kinds are not run")
    if config.get("task_type") not in (None, "CAUSAL_LM"):
        raise ModelRefused("adapter_unsupported", f"{path} is for the task {config['task_type']!r}; train with CAUSAL_LM")
    if config.get("init_lora_weights") not in HARMLESS_STARTS:
        raise ModelRefused(
            "adapter_unsupported",
            f"{path}: init_lora_weights {config['init_lora_weights']!r} changes the base weights; convert the adapter with peft's"
            " path_initial_model_for_weight_conversion",
        )
    if config.get("bias", "none") != "none":
        raise ModelRefused("adapter_unsupported", f"{path}: trained biases are not run; train with bias='none'")
    strange = sorted(key for key, value in config.items() if key not in HARMLESS and value)
    if strange:
        raise ModelRefused("adapter_unsupported", f"{path} uses {', '.join(strange)[:300]}, which is not run; train without")
    return config


def _layers(path: Path, config: Mapping[str, Any], tensors: Mapping[str, TensorHeader]) -> dict[str, LoraLayer]:
    sides: dict[str, dict[str, TensorHeader]] = {}
    for name, tensor in tensors.items():
        match = TENSOR.fullmatch(name)
        if match is None:
            raise ModelRefused(
                "adapter_unsupported", f"{path} holds {name[:200]}; only LoRA matrices of linear layers are run, train without it"
            )
        if tensor.dtype not in FLOAT_TYPES or len(tensor.shape) != 2 or not all(tensor.shape):
            raise ModelRefused("model_wrong_shape", f"{path}: {name[:200]} is {tensor.dtype} {tensor.shape}; save it again")
        sides.setdefault(match["layer"], {})[match["side"]] = tensor
    if not sides:
        raise ModelRefused("model_missing_file", f"{path} holds no LoRA matrices; save the adapter again")
    return {layer: _layer(path, layer, sides[layer], config) for layer in sorted(sides)}


def _layer(path: Path, layer: str, sides: Mapping[str, TensorHeader], config: Mapping[str, Any]) -> LoraLayer:
    if len(sides) != 2:
        raise ModelRefused("adapter_incomplete", f"{path} lacks one of the two matrices of {layer}; save the adapter again")
    rank = _number(path, config, layer, "r", "rank_pattern")
    alpha = _number(path, config, layer, "lora_alpha", "alpha_pattern")
    (rows_a, in_features), (out_features, columns_b) = sides["A"].shape, sides["B"].shape
    if not (rows_a == columns_b == rank and rank <= MAX_RANK):
        raise ModelRefused(
            "model_wrong_shape",
            f"{path}: the matrices of {layer} are {sides['A'].shape} and {sides['B'].shape}, {CONFIG_FILE} says r = {rank:g}"
            f" (at most {MAX_RANK}); save it again",
        )
    return LoraLayer(layer, in_features, out_features, rows_a, alpha / (math.sqrt(rank) if config.get("use_rslora") else rank))


def _number(path: Path, config: Mapping[str, Any], layer: str, key: str, pattern_key: str) -> float:
    """Return a layer's own value of a setting: of the first pattern that matches its path, as peft chooses, or the common one."""
    value = config.get(key)
    patterns = config.get(pattern_key) or {}
    if not isinstance(patterns, dict):
        raise ModelRefused("model_bad_json", f"{path.parent / CONFIG_FILE}: {pattern_key} is no object; save the adapter again")
    for pattern, own in patterns.items():
        if _safe_pattern(path, pattern).match(layer):
            value = own
            break
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
        raise ModelRefused("model_bad_json", f"{path.parent / CONFIG_FILE}: {key} is {value!r:.50}, not a number above 0")
    return float(value)


def _safe_pattern(path: Path, pattern: str) -> re.Pattern[str]:
    """Compile a pattern of the configuration; one that could take for ever to match is refused."""
    repeats = len(re.findall(r"[*+?{]", pattern))
    try:
        if len(pattern) > 300 or repeats > 2 or re.search(r"[)\]][*+?{]", pattern):
            raise re.error("too complex")
        return re.compile(rf"(.*\.)?({pattern})$")
    except re.error as error:
        where = path.parent / CONFIG_FILE
        raise ModelRefused("adapter_unsupported", f"{where}: the pattern {pattern[:80]!r} is refused ({error})") from error


def _targets(config: Mapping[str, Any]) -> tuple[str, ...]:
    listed = config.get("target_modules")
    narrowed = any(config.get(key) for key in ("exclude_modules", "layers_to_transform", "layers_pattern"))
    return tuple(map(str, listed)) if isinstance(listed, list) and not narrowed else ()


def refuse_misfit(adapter: AdapterFolder, sizes: Mapping[str, tuple[int, int]], *, base: str) -> None:
    """Hold an adapter against the linear layers of a model, (in, out) by path."""
    for path, size in sizes.items():
        layer = adapter.layers.get(path)
        if layer is not None and size != (layer.in_features, layer.out_features):
            raise _wrong_base(adapter, layer, size, base=base)
    told = _origin(adapter, base=base)
    missing = [path for path in adapter.layers if path not in sizes]
    if len(missing) == len(adapter.layers):
        raise ModelRefused("adapter_wrong_base", f"{told}, which has no layer {missing[0]}; train it on the running base")
    if missing:
        raise ModelRefused(
            "adapter_unknown_target",
            f"{told}: {len(missing)} layers are none of it that can be adapted, {missing[0]} first; train without them",
        )
    lacking = [path for path in sizes if path not in adapter.layers and _listed(path, adapter.targets)]
    if lacking:
        raise ModelRefused(
            "adapter_incomplete", f"{adapter.folder} lacks {len(lacking)} of its layers, {lacking[0]} first; save it again"
        )


def refuse_other_shapes(adapter: AdapterFolder, shapes: Mapping[str, tuple[int, ...]], *, base: str) -> None:
    """Hold an adapter against the stored weights of a model, shapes by name, as far as the names are the same.

    Which side of a matrix is the input differs between kinds of layers, so only the pair is compared.
    """
    for layer in adapter.layers.values():
        shape = shapes.get(f"{layer.path}.weight")
        if shape is not None and sorted(shape) != sorted((layer.in_features, layer.out_features)):
            raise _wrong_base(adapter, layer, shape, base=base)


def _wrong_base(adapter: AdapterFolder, layer: LoraLayer, size: tuple[int, ...], *, base: str) -> ModelRefused:
    return ModelRefused(
        "adapter_wrong_base",
        f"{_origin(adapter, base=base)}: {layer.path} is {size}, for the adapter {(layer.in_features, layer.out_features)};"
        " train it on the running base, or set MODEL to its own",
    )


def _origin(adapter: AdapterFolder, *, base: str) -> str:
    """Names for a refusal. They prove nothing themselves: folders get renamed."""
    return f"{adapter.folder} was made for {adapter.base_name[:100]!r}, the running base is {base!r}"


def _listed(path: str, targets: tuple[str, ...]) -> bool:
    return any(path == target or path.endswith(f".{target}") for target in targets)
