"""Versions by name, and several of them at work in one engine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from chatbot.engine import engine as engine_module
from chatbot.engine.engine import BatchedEngine
from chatbot.engine.fake import ScriptedEngine
from chatbot.engine.manifest import ModelRefused
from chatbot.engine.requests import ChatMessage, EngineError, GenerationRequest
from chatbot.engine.versions import Versions
from tests.engine.tiny_adapters import with_adapter, write_adapter

Make = Callable[..., BatchedEngine]
SYSTEM = ChatMessage("system", "You answer the customers of a shop from its help pages.")
NEW_TOKENS = 16


def ask(text: str = "Where is it?", **settings: object) -> GenerationRequest:
    return GenerationRequest("r1", [SYSTEM, ChatMessage("user", text)], **{"max_new_tokens": NEW_TOKENS, **settings})  # type: ignore[arg-type]


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(EngineError) as error:
        call()
    return error.value.code


@pytest.fixture
def adapters(tiny_folders: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    return {name: write_adapter(tmp_path / name, tiny_folders["qwen2"], seed=n) for n, name in enumerate(("v2", "v3"))}


def by_peft(engine: BatchedEngine, base: Path, adapter: Path, asked: GenerationRequest) -> tuple[int, ...]:
    ids = torch.tensor([engine._loaded.chat.encode(asked.messages)[0]])
    model = with_adapter(base, adapter)
    out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW_TOKENS, do_sample=False)
    return tuple(out[0, ids.shape[1] :].tolist())


def test_names_are_given_once_and_the_live_one_stays() -> None:
    versions = Versions("base")
    versions.add("v2")
    assert (versions.names, versions.choose(""), versions.choose("v2")) == (("base", "v2"), "base", "v2")
    assert (versions.adapter_of("base"), versions.adapter_of("v2")) == ("", "v2")
    assert refused(lambda: versions.add("v2")) == refused(lambda: versions.add("base")) == "version_exists"
    assert refused(lambda: versions.add("")) == "bad_request"
    assert refused(lambda: versions.make_live("")) == refused(lambda: versions.choose("v9")) == "unknown_version"
    versions.make_live("v2")
    assert refused(lambda: versions.close("v2")) == refused(lambda: versions.close("base")) == "version_in_use"


def test_a_closed_version_takes_nobody_in_and_keeps_its_name() -> None:
    versions = Versions("base")
    versions.add("v2")
    versions.close("v2")
    assert versions.names == ("base",)
    assert refused(lambda: versions.choose("v2")) == refused(lambda: versions.make_live("v2")) == "unknown_version"
    assert refused(lambda: versions.add("v2")) == "version_exists"
    versions.reopen("v2")
    assert versions.choose("v2") == "v2"
    versions.close("v2")
    versions.forget("v2")
    versions.add("v2")


def test_versions_answer_side_by_side_as_each_does_alone(
    make_engine: Make, tiny_folders: dict[str, Path], adapters: dict[str, Path]
) -> None:
    engine = make_engine()
    plain = engine.submit(ask()).output.tokens
    for name, folder in adapters.items():
        engine.load_version(name, folder)
    wanted = {name: by_peft(engine, tiny_folders["qwen2"], folder, ask()) for name, folder in adapters.items()}
    wanted[engine.model_version] = plain
    assert len(set(wanted.values())) == 3
    handles = {name: engine.submit(ask(version=name)) for name in engine.versions}
    assert {name: handle.output.tokens for name, handle in handles.items()} == wanted
    assert all(handle.output.model_version == name for name, handle in handles.items())


def test_a_request_keeps_the_version_that_was_live_when_it_came(make_engine: Make, adapters: dict[str, Path]) -> None:
    engine = make_engine(max_running=1)
    base = engine.model_version
    engine.load_version("v2", adapters["v2"])
    running, waiting = engine.submit(ask(max_new_tokens=200)), engine.submit(ask())
    assert next(iter(running))
    engine.make_live("v2")
    after = engine.submit(ask())
    assert [handle.output.model_version for handle in (running, waiting, after)] == [base, base, "v2"]
    assert waiting.output.tokens != after.output.tokens
    assert engine.stats().model_version == "v2"


def test_nothing_computed_by_one_version_is_used_by_another(make_engine: Make, adapters: dict[str, Path]) -> None:
    fresh, used = make_engine(), make_engine()
    for engine in (fresh, used):
        engine.load_version("v2", adapters["v2"])
    for name in ("alice", "carol", "alice"):
        used.submit(ask(conversation=name)).output  # noqa: B018
    output = used.submit(ask(conversation="alice", version="v2")).output
    assert output.reused_tokens == 0
    assert output.tokens == fresh.submit(ask(conversation="alice", version="v2")).output.tokens


def test_a_new_adapter_under_an_old_name_starts_from_nothing(make_engine: Make, adapters: dict[str, Path]) -> None:
    engine = make_engine()
    engine.load_version("v2", adapters["v2"])
    for name in ("alice", "carol"):
        engine.submit(ask(conversation=name, version="v2")).output  # noqa: B018
    engine.drop_version("v2")
    assert refused(lambda: engine.submit(ask(version="v2"))) == "unknown_version"
    engine.load_version("v2", adapters["v3"])
    engine.load_version("same", adapters["v3"])
    again = engine.submit(ask(conversation="alice", version="v2")).output
    assert again.reused_tokens == 0
    assert again.tokens == engine.submit(ask(version="same")).output.tokens


def test_dropping_waits_for_the_version_to_come_to_rest(make_engine: Make, adapters: dict[str, Path]) -> None:
    engine = make_engine(max_running=1)
    engine.load_version("v2", adapters["v2"])
    handles = [engine.submit(ask(version="v2", max_new_tokens=120)) for _ in range(2)]
    assert next(iter(handles[0]))
    drop = threading.Thread(target=engine.drop_version, args=("v2",))
    drop.start()
    drop.join(60)
    assert not drop.is_alive()
    assert [handle.output.finish_reason for handle in handles] == ["length"] * 2
    assert engine.versions == (engine.model_version,)
    assert engine._adapters.names == ()


def test_a_busy_version_stays(make_engine: Make, adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "DROP_TIMEOUT_S", 0.05)
    engine = make_engine()
    engine.load_version("v2", adapters["v2"])
    handle = engine.submit(ask(version="v2", max_new_tokens=900))
    assert next(iter(handle))
    assert refused(lambda: engine.drop_version("v2")) == "version_busy"
    assert engine.versions[-1] == "v2"
    handle.cancel()
    assert handle.output.finish_reason == "cancelled"
    engine.drop_version("v2")


def test_a_load_that_fails_leaves_everything_as_it_was(
    make_engine: Make, adapters: dict[str, Path], tiny_folders: dict[str, Path], tmp_path: Path
) -> None:
    engine = make_engine()
    plain = engine.submit(ask()).output.tokens
    other = write_adapter(tmp_path / "other", tiny_folders["gemma"], shape="gemma")
    running = engine.submit(ask())
    with pytest.raises(ModelRefused):
        engine.load_version("v2", other)
    assert refused(lambda: engine.load_version(engine.model_version, adapters["v2"])) == "version_exists"
    assert (running.output.tokens, engine.submit(ask()).output.tokens) == (plain, plain)
    assert engine.versions == (engine.model_version,)
    engine.load_version("v2", adapters["v2"])


def test_the_scripted_engine_has_versions_too(tmp_path: Path) -> None:
    engine = ScriptedEngine(pieces_per_answer=3, gap_s=0.0)
    engine.start()
    engine.load_version("v2", tmp_path)
    assert refused(lambda: engine.load_version("v3", tmp_path / "none")) == "model_missing_file"
    assert refused(lambda: engine.load_version("v2", tmp_path)) == "version_exists"
    engine.make_live("v2")
    assert engine.submit(ask()).output.model_version == "v2"
    engine.make_live("scripted")
    engine.drop_version("v2")
    assert engine.versions == ("scripted",)
    engine.stop()
