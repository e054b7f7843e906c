"""What chosen layers of a model give out in a step: the numbers in which it has understood a text, before it chooses a word."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import torch


class HiddenStates:
    """Forward hooks on the decoder's layers, each set when its layer is first watched and silent while it is not."""

    def __init__(self, model: Any) -> None:
        self._layers = getattr(getattr(model, "model", None), "layers", ())
        self._hooked: set[int] = set()
        self.watched: set[int] = set()
        self._seen: dict[int, torch.Tensor] = {}

    def watch(self, layers: Iterable[int]) -> None:
        """Keep what these layers, counted from 0, give out in the passes from now on. A layer that a model lacks is left out."""
        self._seen.clear()
        self.watched = {layer for layer in layers if 0 <= layer < len(self._layers)}
        for layer in self.watched - self._hooked:
            self._layers[layer].register_forward_hook(functools.partial(self._keep, layer))
            self._hooked.add(layer)

    def rows(self, chosen: torch.Tensor) -> dict[int, torch.Tensor]:
        """By layer, float32 (len(chosen), width) of one packed pass, on the CPU."""
        return {layer: states[0, chosen].float().cpu() for layer, states in self._seen.items()}

    def _keep(self, layer: int, module: Any, inputs: Any, output: Any) -> None:
        if layer in self.watched:
            self._seen[layer] = output[0] if isinstance(output, tuple) else output
