from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from chatbot.engine.quantize import FusedMember, Int8Linear, check_kernels, quantize_linears, quantize_weight, rotate
from tests.engine.conftest import SHAPES


def int8_layer(weight: torch.Tensor, *, bias: torch.Tensor | None = None) -> Int8Linear:
    int8, scale = quantize_weight(weight)
    return Int8Linear(int8, scale=scale, bias=bias, out_dtype=torch.float32)


def relative_error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())


def test_layer_is_close_to_float() -> None:
    weight, bias, x = torch.randn(96, 256), torch.randn(96), torch.randn(3, 7, 256)
    got = int8_layer(weight, bias=bias)(x)
    assert got.shape == (3, 7, 96)
    assert relative_error(got, x @ weight.t() + bias) < 0.015


@pytest.mark.parametrize("columns", [128, 256, 896, 1536])
def test_a_row_does_not_depend_on_its_neighbours(columns: int) -> None:
    int8, scale = quantize_weight(torch.randn(96, columns))
    layer = Int8Linear(int8, scale=scale, bias=None, out_dtype=torch.bfloat16)
    x = torch.randn(40, columns, dtype=torch.bfloat16)
    x[3] *= 1000
    together = layer(x)
    for first, rows in ((0, 1), (3, 1), (4, 1), (0, 2), (2, 5), (8, 17), (20, 20)):
        assert torch.equal(layer(x[first : first + rows]), together[first : first + rows])


@pytest.mark.parametrize(("columns", "spread"), [(512, 128), (96, 32), (33, 1)])
def test_rotation_spreads_an_outlier_over_its_block_and_undoes_itself(columns: int, spread: int) -> None:
    row = torch.zeros(1, columns)
    row[0, 5] = 8.0
    rotated = rotate(row)
    assert torch.allclose(rotated.abs().max(), torch.tensor(8.0 / spread**0.5))
    assert torch.allclose(rotate(rotated), row, atol=1e-6)


def test_outliers_cost_little_precision() -> None:
    weight, x = torch.randn(64, 512), torch.randn(4, 512)
    x[:, 5] *= 40
    plain = (x.abs().amax(dim=-1, keepdim=True) / 127).clamp(min=1e-12)
    without_rotation = (x / plain).round() * plain @ weight.t()
    wanted = x @ weight.t()
    assert relative_error(int8_layer(weight)(x), wanted) < 0.5 * relative_error(without_rotation, wanted)


def test_rows_of_zeros_stay_zero() -> None:
    assert torch.equal(int8_layer(torch.randn(8, 64))(torch.zeros(2, 64)), torch.zeros(2, 8))


@pytest.mark.parametrize("shape", SHAPES)
def test_quantised_model_is_close_and_keeps_no_float_copy(shape: str, tiny_folders: dict[str, Path]) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_folders[shape], dtype=torch.float32).eval()
    quantised = copy.deepcopy(model)
    stored = dict(quantize_linears(quantised))
    ids = torch.randint(0, 256, (1, 30))
    with torch.inference_mode():
        got, wanted = quantised(ids).logits, model(ids).logits
    assert relative_error(got, wanted) < 0.25
    # What is left in float: embeddings and norms, no matrix of a layer.
    assert max(p.numel() for n, p in quantised.named_parameters() if not re.search("embed|wte|wpe", n)) <= 256
    assert any(name.endswith(".int8") for name in stored)


def test_projections_of_one_input_are_fused(tiny_folders: dict[str, Path]) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_folders["qwen2"], dtype=torch.float32)
    names = [name for name, _ in quantize_linears(model) if name.endswith(".int8") and "layers.0." in name]
    assert names == [f"model.layers.0.{part}_proj.int8" for part in ("self_attn.q", "self_attn.o", "mlp.gate", "mlp.down")]
    assert isinstance(model.model.layers[0].self_attn.k_proj, FusedMember)


def test_kernels_of_this_machine_are_right() -> None:
    check_kernels()
