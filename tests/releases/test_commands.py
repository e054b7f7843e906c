"""`addadapter`, `golive` and `versions`: thin doors with a sentence and a code when refused."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from chatbot.conversations.models import Customer, Generation
from chatbot.releases.models import ModelVersion, Promotion
from chatbot.staffing.models import AuditEntry
from tests.conversations.factories import post

Make = Callable[..., Path]


def printed(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def test_from_folder_to_answers(base: ModelVersion, make_adapter: Make, alice: Customer) -> None:
    assert "tuned is listed as an adapter of house-model" in printed("addadapter", str(make_adapter()), "--name", "tuned")
    with pytest.raises(CommandError, match=r"was not compared .* --reason, at least 12 characters. \[gate_refused\]"):
        printed("golive", "tuned")
    assert "tuned is live" in printed("golive", "tuned", "--reason", "Measured on another machine.")
    entry = AuditEntry.objects.get(action="version.staged")
    assert entry.detail["overridden"] is True and Promotion.objects.get().reason == "Measured on another machine."
    assert "house-model is live" in printed("golive", "house-model") and "tuned is live" in printed("golive", "tuned")
    post(alice)
    Generation.objects.update(model_version="tuned")
    heading, *rows = [line.split() for line in printed("versions").splitlines()]
    assert heading == ["name", "kind", "live", "since", "added", "answers", "size", "state"]
    assert rows[0][:3] == ["house-model", "base", "-"] and rows[0][-4:] == ["0", "0.0", "MB", "ready"]
    assert rows[1][:4] == ["tuned", "adapter", "of", "house-model"] and rows[1][-4:] == ["1", "0.0", "MB", "ready"]


def test_forgotten_files_are_told(base: ModelVersion, make_adapter: Make) -> None:
    printed("addadapter", str(make_adapter()), "--name", "tuned")
    assert "files of tuned are gone" in printed("forgetadapter", "tuned")
    assert "files taken away" in printed("versions")
    with pytest.raises(CommandError, match=r"\[version_in_use\]"):
        printed("forgetadapter", "house-model")


def test_a_fault_of_a_worker_is_told(base: ModelVersion) -> None:
    ModelVersion.objects.update(load_error="model_memory")
    assert "not loaded: model_memory" in printed("versions")


def test_refusals_say_their_code(base: ModelVersion, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"\[model_missing_file\]"):
        printed("addadapter", str(tmp_path / "nothing"), "--name", "tuned")
    with pytest.raises(CommandError, match=r"No version is called tuned. \[unknown_version\]"):
        printed("golive", "tuned")
