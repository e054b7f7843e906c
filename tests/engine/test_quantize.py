from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from chatbot.engine.quantize import FusedMember, Int8Linear, check_kernels, quantize_linears, quantize_weight
from tests.engine.conftest import SHAPES


def int8_layer(weight: torch.Tensor, *, bias: torch.Tensor | None = None, two_terms: bool = False) -> Int8Linear:
    int8, scale = quantize_weight(weight)
    return Int8Linear(int8, scale=scale, bias=bias, two_terms=two_terms, out_dtype=torch.float32)


def relative_error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())


def test_layer_is_close_to_float() -> None:
    weight, bias, x = torch.randn(96, 256), torch.randn(96), torch.randn(3, 7, 256)
    got = int8_layer(weight, bias=bias)(x)
    assert got.shape == (3, 7, 96)
    assert relative_error(got, x @ weight.t() + bias) < 0.015


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    layer, x = int8_layer(torch.randn(96, 256)), torch.randn(9, 256)
    x[3] *= 1000
    together = layer(x)
    for row in range(9):
        assert torch.equal(layer(x[row : row + 1])[0], together[row])


def test_second_term_absorbs_outliers() -> None:
    weight, x = torch.randn(64, 512), torch.randn(4, 512)
    x[:, 5] *= 300
    int8, scale = quantize_weight(weight)
    exact = x @ (int8.float() * scale.unsqueeze(1)).t()
    assert relative_error(int8_layer(weight, two_terms=True)(x), exact) < 0.001
    assert relative_error(int8_layer(weight)(x), exact) > 0.005


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
