"""LoRA adapters over one running model: several at once, each for its own rows of a forward pass.

A linear layer that some adapter changes gets a thin wrapper. It calls the layer as it is and then adds, for each adapter of the
step, `B (A x)` to that adapter's rows in place. Nothing else of the output is touched, so the rows of the base and of other
adapters keep every bit. Source: S-LoRA and punica, without their kernels; r is small, so two thin products a layer are cheap.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from transformers.pytorch_utils import Conv1D

from chatbot.engine.adapter_folder import WEIGHTS_FILE, AdapterFolder, LoraLayer, check_name, read_adapter_folder, refuse_misfit
from chatbot.engine.machine import require_memory
from chatbot.engine.manifest import ModelRefused
from chatbot.engine.quantize import FusedMember, Int8Linear
from chatbot.engine.requests import EngineError

# All rows, one run of rows, or rows here and there.
Rows = slice | torch.Tensor
# Up to so many rows, waking a second thread for the thin products takes two to four times as long as they take alone.
FEW_ROWS = 32


@dataclass(frozen=True)
class LoraWeights:
    """down: (r, in); up: (out, r), multiplied by the adapter's scaling."""

    down: torch.Tensor
    up: torch.Tensor

    @property
    def size_bytes(self) -> int:
        return self.down.nbytes + self.up.nbytes


class AdaptedLinear(torch.nn.Module):
    """A linear layer of the base and what adapters add to it."""

    def __init__(self, base: torch.nn.Module, active: list[tuple[str, Rows]]) -> None:
        super().__init__()
        self.base = base
        self.weights: dict[str, LoraWeights] = {}
        self._active = active  # shared by all layers; AdapterSet.begin fills it

    @property
    def weight(self) -> Any:
        """The base's weight: some models look at its dtype."""
        return self.base.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.base(x)
        for name, rows in self._active:
            weights = self.weights.get(name)
            if weights is not None:
                _add(weights, x, out, rows)
        return out


class AdapterSet:
    """The adapters of one model. `begin` and the forward pass belong to one thread; the other methods may be called from any.

    Loading while a step runs is safe, since no row of that step asks for the new adapter. Dropping is for adapters that no
    running request uses.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._active: list[tuple[str, Rows]] = []
        self._layers: dict[str, tuple[str, ...]] = {}  # paths of the layers each adapter changes
        self._lock = threading.Lock()
        reference = next(model.parameters())
        self._device = reference.device
        # Thin products in bfloat16 are two to three times slower than in float32 on a CPU, and the adapter is small.
        self._dtype = torch.float32 if self._device.type == "cpu" else reference.dtype

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._layers)

    def load(self, name: str, folder: Path, *, base: str) -> None:
        """Add the adapter of `folder` under `name`. Raises ModelRefused, and then the set is as it was.

        base: what the running weights are called, for the refusal of an adapter of others.
        """
        check_name(name)
        with self._lock:
            if name in self._layers or name == base:
                raise EngineError("version_exists", f"a version called {name} is loaded already; drop it first")
            adapter = read_adapter_folder(folder)
            refuse_misfit(adapter, {path: _size(layer) for path, layer in self._adaptable()}, base=base)
            require_memory(2 * adapter.size_bytes, purpose=f"the adapter {name}")
            weights = read_weights(adapter, dtype=self._dtype, device=self._device)
            for path, own in weights.items():
                self._wrapper(path).weights[name] = own
            self._layers[name] = tuple(weights)

    def drop(self, name: str) -> None:
        """Forget an adapter. Layers that no adapter changes any more are as they were before the first."""
        with self._lock:
            for path in self._layers.pop(name, ()):
                wrapper = self._wrapper(path)
                wrapper.weights.pop(name, None)
                if not wrapper.weights:
                    _put(self._model, path, wrapper.base)

    def size_bytes(self, name: str) -> int:
        """Memory the adapter takes."""
        return sum(self._wrapper(path).weights[name].size_bytes for path in self._layers[name])

    def begin(self, spans: Sequence[tuple[str, int, int]]) -> None:
        """Tell whose rows come next: (adapter or "" for the base, first row, rows), rows counted in x.reshape(-1, hidden).

        Raises EngineError("unknown_version") for an adapter that is not loaded.
        """
        self._active.clear()
        if not self._layers and not any(name for name, _, _ in spans):
            return
        runs: dict[str, list[tuple[int, int]]] = {}
        for name, first, rows in spans:
            if name and rows:
                if name not in self._layers:
                    raise EngineError("unknown_version", f"no version called {name} is loaded")
                runs.setdefault(name, []).append((first, first + rows))
        self._active.extend((name, self._rows(own)) for name, own in runs.items())

    def _rows(self, runs: list[tuple[int, int]]) -> Rows:
        """Neighbouring runs become one slice, which needs no copies."""
        runs = sorted(runs)
        if all(end == start for (_, end), (start, _) in zip(runs, runs[1:], strict=False)):
            return slice(runs[0][0], runs[-1][1])
        return torch.cat([torch.arange(first, end) for first, end in runs]).to(self._device)

    def _adaptable(self) -> Iterator[tuple[str, torch.nn.Module]]:
        """Yield the linear layers whose input rows are the step's rows, in order.

        Not the head, which sees the chosen rows only, and not experts, which see the rows routed to them.
        """
        getter: Any = getattr(self._model, "get_output_embeddings", lambda: None)
        head = getter()
        for path, module in self._model.named_modules():
            if path.endswith(".base") or module is head or ".experts." in path:
                continue
            layer = module.base if isinstance(module, AdaptedLinear) else module
            if isinstance(layer, torch.nn.Linear | Conv1D | Int8Linear | FusedMember):
                yield path, layer

    def _wrapper(self, path: str) -> AdaptedLinear:
        module = self._model.get_submodule(path)
        if isinstance(module, AdaptedLinear):
            return module
        wrapper = AdaptedLinear(module, self._active)
        _put(self._model, path, wrapper)
        return wrapper


def read_weights(adapter: AdapterFolder, *, dtype: torch.dtype, device: torch.device) -> dict[str, LoraWeights]:
    """Read the matrices of a checked folder, by layer. Raises ModelRefused for values that are no numbers."""
    path = adapter.folder / WEIGHTS_FILE
    try:
        with safe_open(path, framework="pt") as file:
            return {layer.path: _read_layer(file, layer, path, dtype=dtype, device=device) for layer in adapter.layers.values()}
    except (SafetensorError, OSError, RuntimeError, KeyError) as error:
        raise ModelRefused("model_does_not_load", f"{path} does not load ({type(error).__name__}); save it again") from error


def _read_layer(file: Any, layer: LoraLayer, path: Path, *, dtype: torch.dtype, device: torch.device) -> LoraWeights:
    prefix = f"base_model.model.{layer.path}.lora_"
    # Copies: a tensor of the open file is pages of it.
    down = file.get_tensor(f"{prefix}A.weight").to(device, dtype, copy=True)
    up = (file.get_tensor(f"{prefix}B.weight").float() * layer.scaling).to(device, dtype)
    if not (torch.isfinite(down).all() and torch.isfinite(up).all()):
        raise ModelRefused("adapter_not_finite", f"{path}: {layer.path} holds values that are no numbers; train it again")
    return LoraWeights(down, up)


def _add(weights: LoraWeights, x: torch.Tensor, out: torch.Tensor, rows: Rows) -> None:
    """Add B (A x) to `rows` of `out`, in place. x: (..., in), out: (..., out)."""
    source = x.reshape(-1, x.shape[-1])[rows]
    target = out.view(-1, out.shape[-1])  # a view or an error: a copy would lose the sum
    threads = torch.get_num_threads()
    alone = threads > 1 and len(source) <= FEW_ROWS and x.device.type == "cpu"
    if alone:
        torch.set_num_threads(1)
    try:
        delta = F.linear(F.linear(source.to(weights.down.dtype), weights.down), weights.up).to(target.dtype)
        if isinstance(rows, slice):
            target[rows].add_(delta)
        else:
            target.index_add_(0, rows, delta)
    finally:
        if alone:
            torch.set_num_threads(threads)


def _size(layer: torch.nn.Module) -> tuple[int, int]:
    """(in, out) of any of the linear layers."""
    if isinstance(layer, Conv1D):
        return int(layer.nx), int(layer.nf)
    sized: Any = layer
    return int(sized.in_features), int(sized.out_features)


def _put(model: torch.nn.Module, path: str, module: torch.nn.Module) -> None:
    parent, _, leaf = path.rpartition(".")
    setattr(model.get_submodule(parent), leaf, module)
