"""The live version changes while answers are being written: each names one version, and its tokens are that version's alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from chatbot.engine.engine import BatchedEngine
from chatbot.engine.requests import ChatMessage, EngineError, GenerationOutput, GenerationRequest
from tests.engine.tiny_adapters import base_model, edit_config, with_adapter, write_adapter

Make = Callable[..., BatchedEngine]
SYSTEM = ChatMessage("system", "You answer the customers of a shop, shortly and from the passages. " * 3)
QUESTIONS = ("Where is my parcel?", "How do I return a bicycle?", "包裹在哪里？", "What does express delivery cost today? " * 6)
NEW_TOKENS = 32


def asked(question: str, *, version: str = "", conversation: str = "") -> GenerationRequest:
    messages = [SYSTEM, ChatMessage("user", question)]
    return GenerationRequest("r", messages, max_new_tokens=NEW_TOKENS, version=version, conversation=conversation)


@pytest.fixture
def swapped(make_engine: Make, tiny_folders: dict[str, Path], tmp_path: Path) -> tuple[BatchedEngine, dict[str, Any]]:
    """An engine with two adapters, and for each version what answers alone, by transformers and peft."""
    folder = tiny_folders["qwen2"]
    adapters = {name: write_adapter(tmp_path / name, folder, seed=seed) for seed, name in enumerate(("first", "second"), 1)}
    engine = make_engine(folder, model_version="qwen2", max_running=3)
    for name, adapter in adapters.items():
        engine.load_version(name, adapter)
    alone = {"qwen2": base_model(folder), **{name: with_adapter(folder, adapter) for name, adapter in adapters.items()}}
    return engine, alone


def expected(engine: BatchedEngine, model: Any, question: str) -> tuple[int, ...]:
    ids = torch.tensor([engine._loaded.chat.encode(asked(question).messages)[0]])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=256)
    return tuple(out[0, ids.shape[1] :].tolist())


def test_versions_named_by_requests_run_in_one_batch(swapped: tuple[BatchedEngine, dict[str, Any]]) -> None:
    engine, alone = swapped
    assert engine.versions == ("qwen2", "first", "second")
    wanted = {(name, question): expected(engine, model, question) for name, model in alone.items() for question in QUESTIONS}
    assert len({wanted[name, QUESTIONS[0]] for name in alone}) == 3  # or the versions would prove nothing
    handles = {key: engine.submit(asked(key[1], version=key[0])) for key in wanted}
    outputs = {key: handle.output for key, handle in handles.items()}
    assert {key: output.tokens for key, output in outputs.items()} == wanted
    assert all(output.model_version == name for (name, _), output in outputs.items())


def test_live_version_changes_under_load(swapped: tuple[BatchedEngine, dict[str, Any]]) -> None:
    engine, alone = swapped
    wanted = {(name, question): expected(engine, model, question) for name, model in alone.items() for question in QUESTIONS}

    def customer(number: int) -> list[tuple[str, GenerationOutput]]:
        """Ask on, one conversation after the other, while the version changes under it."""
        questions = [QUESTIONS[(number + turn) % len(QUESTIONS)] for turn in range(8)]
        return [(question, engine.submit(asked(question, conversation=f"c{number}")).output) for question in questions]

    with ThreadPoolExecutor(4) as pool:
        customers = [pool.submit(customer, number) for number in range(4)]
        while not all(future.done() for future in customers):
            for name in ("first", "second", "qwen2"):
                engine.make_live(name)
                engine.submit(asked(QUESTIONS[0])).output  # noqa: B018
    answers = [answer for future in customers for answer in future.result()]
    assert len({output.model_version for _, output in answers}) > 1
    wrong = [
        (output.model_version, question)
        for question, output in answers
        if output.tokens != wanted[output.model_version, question]
    ]
    assert wrong == []


def test_running_answer_ends_on_the_version_it_began_with(swapped: tuple[BatchedEngine, dict[str, Any]]) -> None:
    engine, alone = swapped
    running = engine.submit(asked(QUESTIONS[0]))
    assert next(iter(running))
    engine.make_live("first")
    after = engine.submit(asked(QUESTIONS[0])).output
    assert (running.output.model_version, after.model_version) == ("qwen2", "first")
    assert running.output.tokens == expected(engine, alone["qwen2"], QUESTIONS[0])
    assert after.tokens == expected(engine, alone["first"], QUESTIONS[0])


def test_refused_adapter_disturbs_nobody(
    swapped: tuple[BatchedEngine, dict[str, Any]], tmp_path: Path, make_engine: Make
) -> None:
    engine, alone = swapped
    running = engine.submit(asked(QUESTIONS[1], version="first"))
    other = write_adapter(tmp_path / "gpt2", make_engine("gpt2")._folder, shape="gpt2")
    for name, code in (("third", "adapter_wrong_base"), ("first", "version_exists"), ("../x", "adapter_bad_name")):
        with pytest.raises(EngineError) as refused:
            engine.load_version(name, other)
        assert refused.value.code == code
    edit_config(other, bias="all")
    with pytest.raises(EngineError) as refused:
        engine.load_version("third", other)
    assert refused.value.code == "adapter_unsupported"
    assert engine.versions == ("qwen2", "first", "second")
    assert running.output.tokens == expected(engine, alone["first"], QUESTIONS[1])


def test_dropped_version_is_gone_and_its_name_free(swapped: tuple[BatchedEngine, dict[str, Any]], tmp_path: Path) -> None:
    engine, alone = swapped
    assert engine.submit(asked(QUESTIONS[0], version="first", conversation="c")).output.model_version == "first"
    engine.drop_version("first")
    assert engine.versions == ("qwen2", "second")
    # Another adapter under the old name reads nothing the old one has left in the cache.
    engine.load_version("first", tmp_path / "second")
    again = engine.submit(asked(QUESTIONS[0], version="first", conversation="c")).output
    assert again.tokens == expected(engine, alone["second"], QUESTIONS[0])
