"""An adapter at less than its full strength: a version of its own that knows where it comes from."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from chatbot.engine.adapter_folder import WEIGHTS_FILE, read_adapter_folder
from chatbot.errors import Conflict, InvalidInput
from chatbot.releases import lineage, scaling, versions
from chatbot.releases.models import ModelVersion


@pytest.fixture
def tuned(base: ModelVersion, make_adapter: Callable[..., Path]) -> ModelVersion:
    version = versions.add_adapter(make_adapter(), name="tuned")
    lineage.describe(version, {"dataset": "march", "light": {"taken": True}}, trained_on=["a", "b"])
    return version


def test_the_same_tensors_count_for_less(tuned: ModelVersion) -> None:
    call_command("scaleversion", "tuned", "--strength", "0.7", stdout=io.StringIO())
    version = versions.access_version("tuned-at-70")
    old, new = versions.verify_files(tuned), versions.verify_files(version)
    assert (old / WEIGHTS_FILE).read_bytes() == (new / WEIGHTS_FILE).read_bytes()
    factors = [next(iter(read_adapter_folder(folder).layers.values())).scaling for folder in (old, new)]
    assert factors == pytest.approx([2.0, 1.4])
    assert version.trained_on == ["a", "b"]  # so that erasing a person finds it, and the gate what it has seen
    assert version.lineage["dataset"] == "march" and version.lineage["scaled_from"] == "tuned"
    assert "light" not in version.lineage


def test_only_a_share_of_an_adapter(tuned: ModelVersion, base: ModelVersion) -> None:
    for strength in (0.0, 1.0, 1.5, float("nan")):
        with pytest.raises(InvalidInput):
            scaling.scaled(tuned, strength=strength)
    with pytest.raises(Conflict):
        scaling.scaled(base, strength=0.5)
    with pytest.raises(CommandError, match="bad_strength"):
        call_command("scaleversion", "tuned", "--strength", "2")


def test_nothing_is_listed_without_where_it_came_from(tuned: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(lineage, "describe", cut_off)
        scaling.scaled(tuned, strength=0.7)
    assert not ModelVersion.objects.filter(name="tuned-at-70").exists()
    again = scaling.scaled(tuned, strength=0.7)  # what the attempt left in the folder is nobody's
    assert again.trained_on == ["a", "b"] and versions.verify_files(again)
