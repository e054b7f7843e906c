"""Embed with any sentence-transformers folder: safetensors weights, transformers' own classes, no code from the folder.

The folder's files say how: modules.json (which steps), 1_Pooling/config.json, N_Dense/ (config.json and model.safetensors),
sentence_bert_config.json (length, lower case) and config_sentence_transformers.json (prompts). The query prompt serves questions
and phrasings alike, because both are questions.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chatbot.engine.embedder import Vectors, clean_text

if TYPE_CHECKING:
    import torch

_BATCH = 16
_MAX_TOKENS = 512
_EDGE_BYTES = 1 << 20
_MODULES = ("Transformer", "Pooling", "Normalize", "Dense")
_POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "Sigmoid")


class EmbedderFolderError(ValueError):
    """The folder cannot be used; the message says why and names the file."""


@dataclass(frozen=True)
class Recipe:
    """What a folder's files say. pooling: joined one after the other. dense: paths of the Dense steps, in order."""

    weights: Path
    pooling: tuple[str, ...]
    dense: tuple[Path, ...]
    prompt: str
    max_tokens: int
    lower_case: bool
    dimensions: int
    name: str


def read_recipe(folder: Path) -> Recipe:
    """Read and check a folder without loading its weights. Raises EmbedderFolderError."""
    if not folder.is_dir():
        raise EmbedderFolderError(f"{folder} is not a folder.")
    modules = _json(
        folder / "modules.json", default=[{"type": "Transformer", "path": ""}, {"type": "Pooling", "path": "1_Pooling"}]
    )
    steps = [(str(module.get("type", "")).rsplit(".", 1)[-1], str(module.get("path", ""))) for module in modules]
    unknown = [kind for kind, _ in steps if kind not in _MODULES]
    if unknown:
        raise EmbedderFolderError(f"{folder / 'modules.json'}: the step {unknown[0]} is not supported.")
    paths = {kind: folder / path for kind, path in steps}
    weights = paths.get("Transformer", folder)
    config = _json(weights / "config.json", default=None)
    if config is None:
        raise EmbedderFolderError(f"{weights / 'config.json'} is missing.")
    if "auto_map" in config:
        raise EmbedderFolderError(f"{weights / 'config.json'} asks for code of its own, which is never run.")
    if not any(weights.glob("*.safetensors")):
        raise EmbedderFolderError(f"{weights} holds no safetensors; pickled weights are not loaded.")
    bert = _json(weights / "sentence_bert_config.json", default={})
    pooling = _pooling(_json(paths.get("Pooling", folder / "1_Pooling") / "config.json", default={}))
    dense = tuple(folder / path for kind, path in steps if kind == "Dense")
    width = int(config.get("hidden_size") or config.get("dim") or 0) * len(pooling)
    return Recipe(
        weights=weights,
        pooling=pooling,
        dense=dense,
        prompt=_prompt(_json(folder / "config_sentence_transformers.json", default={})),
        max_tokens=min(int(bert.get("max_seq_length") or _MAX_TOKENS), _MAX_TOKENS),
        lower_case=bool(bert.get("do_lower_case")),
        dimensions=int(_json(dense[-1] / "config.json", default={})["out_features"]) if dense else width,
        name=f"{folder.resolve().name}@{_digest(folder)}",
    )


def _json(file: Path, *, default: Any) -> Any:
    if not file.exists():
        return default
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EmbedderFolderError(f"{file} is not JSON.") from error


def _pooling(config: dict[str, Any]) -> tuple[str, ...]:
    if "pooling_mode" in config:
        modes = config["pooling_mode"]
        modes = tuple([modes] if isinstance(modes, str) else modes)
    else:
        modes = tuple(mode for key, mode in _POOLING_KEYS.items() if config.get(key)) or ("mean",)
    if unknown := set(modes) - set(_POOLING_KEYS.values()):
        raise EmbedderFolderError(f"Pooling by {sorted(unknown)[0]} is not supported.")
    return modes


def _prompt(config: dict[str, Any]) -> str:
    prompts = config.get("prompts") or {}
    return str(prompts.get("query") or prompts.get(config.get("default_prompt_name")) or "")


def _digest(folder: Path) -> str:
    """Identify a folder by its settings and by size and both ends of its weights: gigabytes need not be read at every start."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".safetensors")):
        digest.update(f"{file.relative_to(folder)}:{file.stat().st_size};".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(_EDGE_BYTES))
            stream.seek(max(file.stat().st_size - _EDGE_BYTES, 0))
            digest.update(stream.read(_EDGE_BYTES))
    return digest.hexdigest()[:16]


class FolderEmbedder:
    """An Embedder from a folder. Loads on first use; safe to call from any thread."""

    def __init__(self, folder: Path, *, device: str | None = None) -> None:
        self._recipe = read_recipe(folder)
        self._device = device
        self._forward: Callable[[list[str]], Vectors] | None = None
        self._lock = threading.Lock()
        self.name = self._recipe.name
        self.dimensions = self._recipe.dimensions
        self.parts = (self.dimensions,)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """See Embedder.encode."""
        cleaned = [self._recipe.prompt + clean_text(text) for text in texts]
        if self._recipe.lower_case:
            cleaned = [text.lower() for text in cleaned]
        vectors = np.empty((len(cleaned), self.dimensions), dtype=np.float32)
        order = sorted(range(len(cleaned)), key=lambda i: len(cleaned[i]))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            with self._lock:
                if self._forward is None:
                    self._forward = _load(self._recipe, device=self._device)
                vectors[rows] = self._forward([cleaned[i] for i in rows])
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-9), dtype=np.float32)


def _load(recipe: Recipe, *, device: str | None) -> Callable[[list[str]], Vectors]:
    """Load weights and tokenizer; returns the forward pass for a few texts, (N, dimensions) not yet of length 1."""
    # Imported here because the web process may name this embedder without ever using it.
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModel, AutoTokenizer

    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = AutoTokenizer.from_pretrained(recipe.weights, local_files_only=True, trust_remote_code=False)
    model = AutoModel.from_pretrained(
        recipe.weights, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
    )
    model = model.to(place).eval()
    dense = [_dense(path, load_file(str(path / "model.safetensors"), device=place)) for path in recipe.dense]

    def forward(texts: list[str]) -> Vectors:
        with torch.inference_mode():
            tokens = tokenizer(texts, padding=True, truncation=True, max_length=recipe.max_tokens, return_tensors="pt").to(place)
            pooled = _pool(model(**tokens).last_hidden_state, tokens["attention_mask"], modes=recipe.pooling)
            for step in dense:
                pooled = step(pooled)
            return np.asarray(pooled.float().cpu().numpy(), dtype=np.float32)

    return forward


def _dense(path: Path, weights: dict[str, torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    import torch

    kind = str(_json(path / "config.json", default={}).get("activation_function", "Identity")).rsplit(".", 1)[-1]
    if kind not in _ACTIVATIONS:
        raise EmbedderFolderError(f"{path / 'config.json'}: the activation {kind} is not supported.")
    activation = getattr(torch.nn, kind)()
    return lambda rows: activation(torch.nn.functional.linear(rows, weights["linear.weight"], weights.get("linear.bias")))


def _pool(states: torch.Tensor, mask: torch.Tensor, *, modes: Sequence[str]) -> torch.Tensor:
    """Turn token states (N, T, D) with mask (N, T) into one row a text, (N, D * modes)."""
    import torch

    weights = mask.unsqueeze(-1).to(states.dtype)
    places = (torch.arange(mask.shape[1], device=mask.device) + 1) * mask
    rows = torch.arange(len(mask), device=mask.device)
    pooled = {
        "cls": lambda: states[rows, mask.argmax(dim=1)],
        "lasttoken": lambda: states[rows, places.argmax(dim=1)],
        "max": lambda: states.masked_fill(weights == 0, -1e9).max(dim=1).values,
        "mean": lambda: (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9),
        "mean_sqrt_len": lambda: (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9).sqrt(),
        "weightedmean": lambda: (states * places.unsqueeze(-1)).sum(dim=1) / places.sum(dim=1, keepdim=True).clamp(min=1),
    }
    return torch.cat([pooled[mode]() for mode in modes], dim=1)
