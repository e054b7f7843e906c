"""Workers follow the database without a restart, and go on with what they have when they cannot."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatbot import runtime
from chatbot.answering import pipeline
from chatbot.answering.answers import Answer, Question
from chatbot.conversations import reply
from chatbot.conversations.models import Customer
from chatbot.engine.fake import ScriptedEngine
from chatbot.engine.requests import ChatMessage, GenerationRequest
from chatbot.releases import following, stages, versions
from chatbot.releases.models import ModelVersion
from tests.conversations.factories import generation_of, post

Make = Callable[..., Path]


@pytest.fixture
def tuned(engine: ScriptedEngine, base: ModelVersion, make_adapter: Make) -> ModelVersion:
    return versions.add_adapter(make_adapter(), name="tuned")


def test_a_worker_starts_on_the_live_version(engine: ScriptedEngine, tuned: ModelVersion) -> None:
    versions.make_live("tuned")
    following.start()
    assert (engine.model_version, engine.versions) == ("tuned", ("house-model", "tuned"))
    tuned.refresh_from_db()
    assert tuned.last_loaded_at is not None and tuned.load_error == ""


def test_the_first_start_lists_the_base(engine: ScriptedEngine, db: None) -> None:
    following.start()
    assert engine.model_version == "house-model" == str(versions.live_version())


def test_a_worker_follows_there_and_back(engine: ScriptedEngine, tuned: ModelVersion, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    following.follow()
    assert engine.model_version == "house-model" and engine.versions == ("house-model",)  # what is not live is not loaded
    versions.make_live("tuned")
    following.follow()
    assert engine.model_version == "tuned"
    versions.make_live("house-model")
    following.follow()
    assert engine.model_version == "house-model" and engine.versions == ("house-model", "tuned")  # at hand for the way back
    assert "version.followed version=tuned previous=house-model" in caplog.text


def test_a_forgotten_version_is_dropped(engine: ScriptedEngine, tuned: ModelVersion) -> None:
    versions.make_live("tuned")
    following.follow()
    versions.make_live("house-model")
    following.follow()
    versions.forget("tuned")
    following.follow()
    assert engine.versions == ("house-model",)


def test_damage_is_said_once_and_the_worker_goes_on(
    engine: ScriptedEngine, tuned: ModelVersion, models_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    versions.make_live("tuned")
    weights = models_dir / "adapters" / "tuned" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    following.follow()
    following.follow()
    assert caplog.text.count("version.not_followed version=tuned code=model_hash_mismatch") == 1
    assert engine.model_version == "house-model" and engine.versions == ("house-model",)
    tuned.refresh_from_db()
    assert tuned.load_error == "model_hash_mismatch" and tuned.is_live
    assert not following._behind(engine)  # it waits before it tries again


def test_it_is_tried_again_after_a_while(engine: ScriptedEngine, tuned: ModelVersion, models_dir: Path, monkeypatch: Any) -> None:
    versions.make_live("tuned")
    elsewhere = models_dir / "not-yet-here"
    shutil.move(models_dir / "adapters" / "tuned", elsewhere)
    following.follow()
    assert engine.model_version == "house-model"
    shutil.move(elsewhere, models_dir / "adapters" / "tuned")
    monkeypatch.setattr(following, "RETRY_S", 0)
    assert following._behind(engine)
    following.follow()
    tuned.refresh_from_db()
    assert (engine.model_version, tuned.load_error) == ("tuned", "")


def test_an_adapter_of_another_base_is_never_loaded(engine: ScriptedEngine, tuned: ModelVersion) -> None:
    versions.make_live("tuned")
    other = ScriptedEngine(model_version="older-model")
    runtime._engine = other
    following.follow()
    tuned.refresh_from_db()
    assert (other.model_version, other.versions, tuned.load_error) == ("older-model", ("older-model",), "adapter_wrong_base")


def test_a_remote_server_has_the_files_itself(
    engine: ScriptedEngine, tuned: ModelVersion, models_dir: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "load_version", lambda name, folder: engine._versions.add(name))  # reads no file
    versions.make_live("tuned")
    shutil.rmtree(models_dir)
    settings.ENGINE = "remote"
    following.start()
    assert engine.model_version == "tuned"


def test_an_unexpected_error_of_the_engine_is_survived(engine: ScriptedEngine, tuned: ModelVersion, monkeypatch: Any) -> None:
    def fail(name: str, folder: Path) -> None:
        raise ZeroDivisionError

    versions.make_live("tuned")
    monkeypatch.setattr(engine, "load_version", fail)
    following.follow()
    tuned.refresh_from_db()
    assert (engine.model_version, tuned.load_error) == ("house-model", "internal")


@pytest.mark.django_db(transaction=True)
def test_the_duty_loads_in_a_thread_of_its_own(engine: ScriptedEngine, tuned: ModelVersion) -> None:
    following.follow_live()
    assert following._thread is None  # nothing to do
    versions.make_live("tuned")
    following.follow_live()
    assert following._thread is not None
    following._thread.join(10)
    assert engine.model_version == "tuned"


@pytest.mark.django_db(transaction=True)
def test_a_rollback_reaches_the_worker_within_five_seconds(engine: ScriptedEngine, tuned: ModelVersion) -> None:
    """At worst it looks FOLLOW_S after the rollback; the rest is what the rollback and the way back take."""
    stages.to_live("tuned", reason="a reason that is long enough")
    following.follow()
    begun = time.monotonic()
    stages.roll_back()
    following.follow_live()
    assert following._thread is not None
    following._thread.join(10)
    assert engine.model_version == "house-model" and following.FOLLOW_S + time.monotonic() - begun < 5


def test_nothing_new_costs_one_query(engine: ScriptedEngine, base: ModelVersion, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        following.follow_live()


def test_each_answer_of_a_conversation_names_its_own_version(
    engine: ScriptedEngine, tuned: ModelVersion, alice: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is asked, then the live version changes, then the first ends and the second is asked."""

    def swap() -> None:
        versions.make_live("tuned")
        following.follow()

    swaps = iter([swap, lambda: None])

    def ask(question: Question, *, engine: ScriptedEngine, **parts: Any) -> Iterator[Answer]:
        handle = engine.submit(GenerationRequest("r", [ChatMessage("user", question.text)]))
        next(swaps)()
        out = handle.output
        yield Answer(
            text=out.text, decision="compose", finish_reason="stop", language="en", trace={}, model_version=out.model_version
        )

    monkeypatch.setattr(pipeline, "answer", ask)
    first = post(alice)
    reply.write_reply(generation_of(first).pk)
    second = post(alice, "And how much?", conversation_id=first.conversation.id)
    reply.write_reply(generation_of(second).pk)
    assert [generation_of(one).model_version for one in (first, second)] == ["house-model", "tuned"]
