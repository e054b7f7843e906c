"""Int8 linear layers for the CPU, through oneDNN's packed kernels.

Weights are symmetric int8, one scale an output channel. Activations are quantised per row while the model runs, so a row's
digits never depend on its neighbours in the batch. Outliers would cost such a row its precision: a Hadamard rotation of blocks of
columns, of the weights once and of each row as it comes, spreads every outlier over its block and changes no product. Source:
QuaRot (Ashkboos et al. 2024). Measured on the default model, it takes the error of a feed-forward block's way back from 6.4 % to
1.3 %, and halves that of the others.

The operators are private to torch: torch is pinned, and `check_kernels` compares them with float arithmetic at every start.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from chatbot.engine.requests import EngineError

# Siblings that read the same input and are computed in one call.
FUSED_SIBLINGS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
# Smaller layers (routers, heads of a few classes) gain nothing.
MIN_WEIGHTS = 1024
# Columns a rotation mixes: twice as many cost twice as much, and the error hardly falls any more.
ROTATION_BLOCK = 128
# Fewer blocks go through another kernel, which rounds otherwise: a row would depend on how many came with it.
FEWEST_BLOCKS = 32
# 1.5 * 2**23: a float32 this large has no room for fractions, so adding it rounds, and the lowest byte is the rounded number.
# The kernels are fast for unsigned input only: 128 more, and they are told so.
ROUND_TO_BYTE = 12582912.0 + 128


def quantize_weight(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rotate (out, in) weights and round them to int8. Returns them with float32 scales (out,)."""
    rotated = rotate(weight.float())
    scale = (rotated.abs().amax(dim=1) / 127).clamp_(min=1e-12)
    return rotated.div_(scale.unsqueeze(1)).round_().to(torch.int8), scale


def rotate(rows: torch.Tensor) -> torch.Tensor:
    """Multiply each block of columns of (rows, columns) by a Hadamard matrix. Twice is the identity."""
    block = _block(rows.shape[-1])
    blocks = rows.reshape(-1, block)
    missing = max(0, FEWEST_BLOCKS - len(blocks))
    filled = torch.nn.functional.pad(blocks, (0, 0, 0, missing)) if missing else blocks
    return (filled @ _hadamard(block, rows.dtype))[: len(blocks)].view(rows.shape)


class Int8Linear(torch.nn.Module):
    """A linear layer over packed, rotated int8 weights; keeps no other copy of them."""

    def __init__(self, weight: torch.Tensor, *, scale: torch.Tensor, bias: torch.Tensor | None, out_dtype: torch.dtype) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.out_dtype = out_dtype
        self._packed = torch.ops.onednn.qlinear_prepack(weight, None)
        # Copies: a view of a memory-mapped file would keep all of the file in memory.
        self._scale = scale.clone()
        self._zero = torch.zeros(len(scale), dtype=torch.int64)
        self._bias = None if bias is None else bias.detach().float().clone()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = rotate(x.reshape(-1, self.in_features))
        # Rounded first to what the output is stored in, so that multiplying it back costs one rounding and half the traffic.
        step = rows.abs().amax(dim=-1, keepdim=True).float().clamp_(min=1e-12).div_(127).to(self.out_dtype)
        scaled = rows.float().mul_(step.float().reciprocal()).add_(ROUND_TO_BYTE)
        out: torch.Tensor = torch.ops.onednn.qlinear_pointwise(
            scaled.view(torch.int32).to(torch.uint8),
            *(1.0, 128, self._packed, self._scale, self._zero, None, 1.0, 0, self.out_dtype, "none", [], ""),
        )
        out.mul_(step)
        if self._bias is not None:
            out.add_(self._bias)
        return out.reshape(*x.shape[:-1], self.out_features)


class FusedLinear(torch.nn.Module):
    """Several layers of one input computed at once: the first member to be called computes, the others collect."""

    def __init__(self, linear: Int8Linear, *, sizes: list[int]) -> None:
        super().__init__()
        self.linear = linear
        self.sizes = sizes
        self._input: torch.Tensor | None = None
        self._parts: list[torch.Tensor] = []

    def part(self, index: int, x: torch.Tensor) -> torch.Tensor:
        if x is not self._input:
            self._parts = list(self.linear(x).split(self.sizes, dim=-1))
            self._input = x
        part = self._parts[index]
        if index == len(self.sizes) - 1:  # the last one: hold on to nothing
            self._input, self._parts = None, []
        return part


class FusedMember(torch.nn.Module):
    """Stands where one of the fused layers stood."""

    def __init__(self, fused: FusedLinear, *, index: int) -> None:
        super().__init__()
        self._fused = [fused]  # in a list: the module belongs to the first sibling's parent only once
        self._index = index

    @property
    def in_features(self) -> int:
        return self._fused[0].linear.in_features

    @property
    def out_features(self) -> int:
        return self._fused[0].sizes[self._index]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._fused[0].part(self._index, x)


@dataclass(frozen=True)
class LinearGroup:
    """Linear layers of one parent that become one int8 layer; usually a single one."""

    parent: torch.nn.Module
    path: str
    names: tuple[str, ...]

    def modules(self) -> list[Any]:
        return [getattr(self.parent, name) for name in self.names]

    def weight(self) -> torch.Tensor:
        """All rows, (out, in). transformers' Conv1D stores (in, out)."""
        weights = [m.weight.detach().t() if isinstance(m, Conv1D) else m.weight.detach() for m in self.modules()]
        return weights[0].contiguous() if len(weights) == 1 else torch.cat(weights)

    def bias(self) -> torch.Tensor | None:
        modules = self.modules()
        if all(m.bias is None for m in modules):
            return None
        parts = [torch.zeros(_out_features(m)) if m.bias is None else m.bias.detach().float() for m in modules]
        return torch.cat(parts)


def linear_groups(model: Any) -> Iterator[LinearGroup]:
    """Yield the layers to quantise, fused where they may be. The list is complete before any is replaced."""
    groups = []
    for path, parent in model.named_modules():
        names = [name for name, child in parent.named_children() if _is_linear(child)]
        for siblings in FUSED_SIBLINGS:
            if all(name in names for name in siblings) and len({getattr(parent, n).in_features for n in siblings}) == 1:
                groups.append(LinearGroup(parent, f"{path}.{siblings[0]}", siblings))
                names = [name for name in names if name not in siblings]
        groups.extend(LinearGroup(parent, f"{path}.{name}".lstrip("."), (name,)) for name in names)
    yield from groups


def quantize_linears(
    model: Any, *, stored: MutableMapping[str, torch.Tensor] | None = None
) -> Iterator[tuple[str, torch.Tensor]]:
    """Replace the model's linear layers one group after the other, freeing each original.

    With `stored`, take the int8 weights from there (the model may then be on the meta device); else compute and yield them.
    """
    head = model.get_output_embeddings()
    for group in linear_groups(model):
        modules = group.modules()
        out_dtype = torch.float32 if modules[0] is head else modules[0].weight.dtype
        if stored is None:
            weight, scale = quantize_weight(group.weight())
            bias = group.bias()
        else:
            weight, scale, bias = stored[f"{group.path}.int8"], stored[f"{group.path}.scale"], stored.get(f"{group.path}.bias")
        linear = Int8Linear(weight, scale=scale, bias=bias, out_dtype=out_dtype)
        _replace(group, linear, sizes=[_out_features(module) for module in modules])
        if stored is None:
            yield f"{group.path}.int8", weight
            yield f"{group.path}.scale", scale
            if bias is not None:
                yield f"{group.path}.bias", bias
        else:
            for kind in ("int8", "scale", "bias"):
                stored.pop(f"{group.path}.{kind}", None)


def check_kernels() -> None:
    """Compare the int8 layer with float arithmetic. Raises EngineError when this processor or torch computes something else."""
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(96, 128, generator=generator)
    x = torch.randn(5, 128, generator=generator)
    int8, scale = quantize_weight(weight)
    expected = x @ weight.t()
    try:
        got = Int8Linear(int8, scale=scale, bias=None, out_dtype=torch.float32)(x)
    except RuntimeError as error:
        raise EngineError("int8_unsupported", "this machine has no int8 kernels; set the dtype to bfloat16") from error
    if float((got - expected).norm() / expected.norm()) > 0.03:
        raise EngineError("int8_unsupported", "int8 kernels give wrong results here; set the model's dtype to bfloat16")


def _block(columns: int) -> int:
    """The largest power of two up to ROTATION_BLOCK that divides the columns."""
    return min(ROTATION_BLOCK, columns & -columns)


@lru_cache(maxsize=16)
def _hadamard(size: int, dtype: torch.dtype) -> torch.Tensor:
    """Sylvester's orthonormal, symmetric Hadamard matrix (size, size)."""
    matrix = torch.ones(1, 1)
    while len(matrix) < size:
        matrix = torch.cat((torch.cat((matrix, matrix), dim=1), torch.cat((matrix, -matrix), dim=1)))
    return (matrix / math.sqrt(size)).to(dtype)


def _is_linear(module: Any) -> bool:
    return type(module) in (torch.nn.Linear, Conv1D) and module.weight.numel() >= MIN_WEIGHTS


def _out_features(module: Any) -> int:
    return int(module.nf if isinstance(module, Conv1D) else module.out_features)


def _replace(group: LinearGroup, linear: Int8Linear, *, sizes: list[int]) -> None:
    if len(group.names) == 1:
        setattr(group.parent, group.names[0], linear)
        return
    fused = FusedLinear(linear, sizes=sizes)
    for index, name in enumerate(group.names):
        setattr(group.parent, name, FusedMember(fused, index=index))
