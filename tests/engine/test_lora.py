"""Adapters compute what peft computes, for their own rows and no others; a folder that cannot is refused and changes nothing."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from chatbot.engine import adapter_folder
from chatbot.engine.loading import load_model
from chatbot.engine.lora import AdaptedLinear, AdapterSet
from chatbot.engine.manifest import ModelRefused
from chatbot.engine.requests import EngineError
from tests.engine.tiny_adapters import base_model, edit_config, edit_tensors, with_adapter, write_adapter

PROMPTS = torch.tensor([[5, 6, 7, 8, 9, 10], [20, 21, 22, 23, 24, 25], [90, 91, 92, 93, 94, 95]])
NEW_TOKENS = 24


def generate(model: Any, prompts: torch.Tensor) -> list[list[int]]:
    out = model.generate(
        input_ids=prompts, attention_mask=torch.ones_like(prompts), max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=256
    )
    return [row[prompts.shape[1] :] for row in out.tolist()]


@contextmanager
def rows_of(model: Any, adapters: AdapterSet, *names: str) -> Iterator[None]:
    """Give each row of every batch its adapter, as the runner does before a step."""

    def begin(module: Any, args: Any, kwargs: Any) -> None:
        rows = kwargs["input_ids"].shape[1]
        adapters.begin([(name, at * rows, rows) for at, name in enumerate(names)])

    hook = model.register_forward_pre_hook(begin, with_kwargs=True)
    with torch.inference_mode():
        yield
    hook.remove()


@pytest.mark.parametrize("shape", ["gpt2", "llama", "qwen2", "mistral", "gemma"])
def test_each_row_gets_what_peft_gives_it_alone(shape: str, tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tiny_folders[shape]
    first = write_adapter(tmp_path / "first", folder, shape=shape, seed=1)
    second = write_adapter(tmp_path / "second", folder, shape=shape, seed=2, use_rslora=True, r=6)
    wanted = [generate(base_model(folder), PROMPTS[:1])[0]]
    wanted += [generate(with_adapter(folder, one), PROMPTS[at : at + 1])[0] for at, one in ((1, first), (2, second))]
    assert wanted[1] != generate(base_model(folder), PROMPTS[1:2])[0]  # or the adapters would prove nothing
    model = base_model(folder)
    adapters = AdapterSet(model)
    adapters.load("first", first, base=shape)
    adapters.load("second", second, base=shape)
    with rows_of(model, adapters, "", "first", "second"):
        assert generate(model, PROMPTS) == wanted
    for at, name in enumerate(("", "first", "second")):
        with rows_of(model, adapters, name):
            assert generate(model, PROMPTS[at : at + 1]) == [wanted[at]]


def test_own_ranks_and_alphas_of_layers(tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tiny_folders["qwen2"]
    patterns = {
        "rank_pattern": {"q_proj": 2, r"layers\.1\.mlp\.up_proj": 7},
        "alpha_pattern": {r".*\.2\..*_proj": 1, "v_proj": 32},
    }
    adapter = write_adapter(
        tmp_path / "adapter", folder, use_rslora=True, target_modules=["q_proj", "v_proj", "up_proj"], **patterns
    )
    model = base_model(folder)
    adapters = AdapterSet(model)
    adapters.load("a", adapter, base="qwen2")
    with rows_of(model, adapters, *["a"] * 3):
        assert generate(model, PROMPTS) == generate(with_adapter(folder, adapter), PROMPTS)


@pytest.fixture
def tiny(tiny_folders: dict[str, Path], tmp_path: Path) -> tuple[Any, AdapterSet, Path]:
    """A model, its empty set and an adapter for it."""
    model = base_model(tiny_folders["qwen2"])
    return model, AdapterSet(model), write_adapter(tmp_path / "adapter", tiny_folders["qwen2"])


@torch.inference_mode()
def test_rows_of_others_keep_every_bit(tiny: tuple[Any, AdapterSet, Path]) -> None:
    model, adapters, folder = tiny
    alone = model(PROMPTS).logits
    adapters.load("a", folder, base="qwen2")
    rows = PROMPTS.shape[1]
    adapters.begin([("", 0, rows), ("a", rows, rows), ("", 2 * rows, rows)])
    mixed = model(PROMPTS).logits
    assert torch.equal(mixed[0], alone[0]) and torch.equal(mixed[2], alone[2]) and not torch.equal(mixed[1], alone[1])
    adapters.begin([("a", 0, rows), ("", rows, rows), ("a", 2 * rows, rows)])  # rows that do not lie together
    apart = model(PROMPTS).logits
    assert torch.equal(apart[1], alone[1])
    torch.testing.assert_close(apart[0], with_only(model, adapters, "a")[0], rtol=1e-4, atol=1e-4)
    adapters.begin([])
    assert torch.equal(model(PROMPTS).logits, alone)


def with_only(model: Any, adapters: AdapterSet, name: str) -> torch.Tensor:
    adapters.begin([(name, 0, PROMPTS.numel())])
    logits: torch.Tensor = model(PROMPTS).logits
    return logits


@torch.inference_mode()
def test_int8_layers_alone_and_fused(tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folders["qwen2"], tmp_path / "model")
    adapter = write_adapter(tmp_path / "adapter", folder)
    loaded = load_model(folder, device="cpu", dtype="int8", attention="eager")
    before = loaded.model(PROMPTS).logits.float()
    adapters = AdapterSet(loaded.model)
    adapters.load("a", adapter, base="qwen2")
    assert len(wrapped(loaded.model)) == 3 * 7
    change = with_only(loaded.model, adapters, "a").float() - before
    expected = with_adapter(folder, adapter)(PROMPTS).logits - base_model(folder)(PROMPTS).logits
    assert float(torch.nn.functional.cosine_similarity(change.flatten(), expected.flatten(), dim=0)) > 0.9
    rows = PROMPTS.shape[1]
    adapters.begin([("a", rows, rows)])
    mixed = loaded.model(PROMPTS).logits.float()
    assert torch.equal(mixed[0], before[0]) and torch.equal(mixed[2], before[2])


def wrapped(model: Any) -> list[str]:
    return [path for path, module in model.named_modules() if isinstance(module, AdaptedLinear)]


@torch.inference_mode()
def test_dropping_leaves_the_others_and_then_nothing(tiny: tuple[Any, AdapterSet, Path], tmp_path: Path) -> None:
    model, adapters, folder = tiny
    before = [type(module) for module in model.modules()]
    alone = model(PROMPTS).logits
    adapters.load("a", folder, base="qwen2")
    adapters.load("b", folder, base="qwen2")
    with_a = with_only(model, adapters, "a")
    adapters.drop("b")
    adapters.drop("never loaded")
    assert adapters.names == ("a",) and torch.equal(with_only(model, adapters, "a"), with_a)
    with pytest.raises(EngineError) as refused:
        adapters.begin([("b", 0, 3)])
    assert refused.value.code == "unknown_version"
    adapters.drop("a")
    assert wrapped(model) == [] and [type(module) for module in model.modules()] == before
    adapters.begin([("", 0, 3)])
    assert torch.equal(model(PROMPTS).logits, alone)


def test_size_is_that_of_the_matrices(tiny: tuple[Any, AdapterSet, Path]) -> None:
    _, adapters, folder = tiny
    adapters.load("a", folder, base="qwen2")
    # hidden 64, key and value heads 32, inner 160: (in + out) of the seven layers, three times, r 4, four bytes
    layers = (64 + 64) + 2 * (64 + 32) + (64 + 64) + 2 * (64 + 160) + (160 + 64)
    assert adapters.size_bytes("a") == 3 * layers * 4 * 4


@pytest.mark.parametrize("name", ["", "../a", "a/b", "a..b", ".hidden", "a b", "a\n", "ä", "a" * 81])
def test_a_name_that_could_be_a_path_is_refused(tiny: tuple[Any, AdapterSet, Path], name: str) -> None:
    _, adapters, folder = tiny
    with pytest.raises(ModelRefused) as refused:
        adapters.load(name, folder, base="qwen2")
    assert refused.value.code == "adapter_bad_name"


def test_a_name_is_given_once(tiny: tuple[Any, AdapterSet, Path]) -> None:
    _, adapters, folder = tiny
    adapters.load("a", folder, base="qwen2")
    for taken in ("a", "qwen2"):
        with pytest.raises(EngineError) as refused:
            adapters.load(taken, folder, base="qwen2")
        assert refused.value.code == "version_exists"


WEIGHTS = "adapter_model.safetensors"
LAYER = "base_model.model.model.layers.1.self_attn.q_proj"


def config(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit_config(folder, **changes)


def tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    return lambda folder: edit_tensors(folder, change)


def put(name: str, shape: tuple[int, ...], value: float = 0.0, dtype: torch.dtype = torch.float32) -> Callable[[Path], None]:
    return tensors(lambda held: held.update({name: torch.full(shape, value, dtype=dtype)}))


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def link_outside(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder.parent / "elsewhere")
    (folder / WEIGHTS).symlink_to(folder.parent / "elsewhere")


def rename_layers(folder: Path) -> None:
    def rename(held: dict[str, torch.Tensor]) -> None:
        for name in list(held):
            held[name.replace("model.layers", "transformer.h")] = held.pop(name)

    edit_tensors(folder, rename)


def drop_layer(held: dict[str, torch.Tensor]) -> None:
    del held[f"{LAYER}.lora_A.weight"], held[f"{LAYER}.lora_B.weight"]


CASES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "no configuration": ("model_missing_file", lambda folder: (folder / "adapter_config.json").unlink()),
    "no weights": ("model_missing_file", lambda folder: (folder / WEIGHTS).unlink()),
    "no matrices": ("model_missing_file", tensors(lambda held: held.clear())),
    "broken JSON": ("model_bad_json", write("adapter_config.json", b"{")),
    "a list as configuration": ("adapter_unsupported", write("adapter_config.json", b"[]")),
    "another kind of adapter": ("adapter_unsupported", config(peft_type="IA3")),
    "another task": ("adapter_unsupported", config(task_type="SEQ_CLS")),
    "weight-decomposed": ("adapter_unsupported", config(use_dora=True)),
    "whole modules": ("adapter_unsupported", config(modules_to_save=["lm_head"])),
    "biases": ("adapter_unsupported", config(bias="lora_only")),
    "biases of its own matrices": ("adapter_unsupported", config(lora_bias=True)),
    "a start that changes the base": ("adapter_unsupported", config(init_lora_weights="pissa_niter_16")),
    "a setting nobody knows": ("adapter_unsupported", config(use_magic=True)),
    "own code": ("model_code_refused", config(auto_map={"AutoModel": "x.Y"})),
    "a rank that is not its matrices'": ("model_wrong_shape", config(r=5)),
    "an alpha that is no number": (
        "model_bad_json",
        write("adapter_config.json", b'{"peft_type": "LORA", "r": 4, "lora_alpha": NaN}'),
    ),
    "an endless pattern": ("adapter_unsupported", config(rank_pattern={"(a+)+": 3})),
    "a broken pattern": ("adapter_unsupported", config(rank_pattern={"(": 3})),
    "patterns that are a list": ("model_bad_json", config(alpha_pattern=["q_proj"])),
    "an embedding": ("adapter_unsupported", put("base_model.model.model.embed_tokens.lora_embedding_A", (4, 260))),
    "a trained bias": ("adapter_unsupported", put("base_model.model.model.layers.1.self_attn.q_proj.bias", (64,))),
    "half a layer": ("adapter_incomplete", tensors(lambda held: held.pop(f"{LAYER}.lora_B.weight"))),
    "a layer lost": ("adapter_incomplete", tensors(drop_layer)),
    "whole numbers": ("model_wrong_shape", put(f"{LAYER}.lora_A.weight", (4, 64), 1, torch.int32)),
    "NaN": ("adapter_not_finite", put(f"{LAYER}.lora_A.weight", (4, 64), float("nan"))),
    "infinity": ("adapter_not_finite", put(f"{LAYER}.lora_B.weight", (64, 4), float("inf"))),
    "another base": ("adapter_wrong_base", put(f"{LAYER}.lora_A.weight", (4, 128))),
    "another family": ("adapter_wrong_base", rename_layers),
    "cut short": ("model_truncated", lambda folder: write(WEIGHTS, (folder / WEIGHTS).read_bytes()[:-7])(folder)),
    "bytes too many": ("model_wrong_shape", lambda folder: write(WEIGHTS, (folder / WEIGHTS).read_bytes() + b"0000")(folder)),
    "a pickle beside it": ("model_pickle_refused", write("training_args.bin", b"anything")),
    "a pickle as weights": ("model_pickle_refused", write(WEIGHTS, pickle.dumps({"a": list(range(99))}, protocol=4))),
    "a link out of the folder": ("model_symlink_refused", link_outside),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_folder_is_refused_and_changes_nothing(tiny: tuple[Any, AdapterSet, Path], case: str) -> None:
    model, adapters, folder = tiny
    code, damage = CASES[case]
    damage(folder)
    with pytest.raises(ModelRefused) as refused:
        adapters.load("a", folder, base="qwen2")
    assert refused.value.code == code and str(folder) in str(refused.value)
    assert adapters.names == () and wrapped(model) == []


@pytest.mark.parametrize(
    ("layer", "code"),
    [("lm_head", "adapter_unknown_target"), ("model.layers.7.mlp.up_proj", "adapter_unknown_target")],
)
def test_a_layer_that_cannot_be_adapted(tiny: tuple[Any, AdapterSet, Path], layer: str, code: str) -> None:
    model, adapters, folder = tiny
    for side, shape in (("A", (4, 64)), ("B", (260, 4))):
        put(f"base_model.model.{layer}.lora_{side}.weight", shape)(folder)
    with pytest.raises(ModelRefused, match=layer) as refused:
        adapters.load("a", folder, base="qwen2")
    assert refused.value.code == code and wrapped(model) == []


def test_too_many_bytes_are_not_read(tiny: tuple[Any, AdapterSet, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    _, adapters, folder = tiny
    monkeypatch.setattr(adapter_folder, "MAX_BYTES", 100)
    with pytest.raises(ModelRefused) as refused:
        adapters.load("a", folder, base="qwen2")
    assert refused.value.code == "adapter_too_large"


def test_a_renamed_base_is_no_reason(tiny: tuple[Any, AdapterSet, Path]) -> None:
    _, adapters, folder = tiny
    edit_config(folder, base_model_name_or_path="/home/somebody/quite-another-name")
    adapters.load("a", folder, base="qwen2")
    assert adapters.names == ("a",)
