"""Training runs seen from the database: one at a time, ended by what the process leaves behind, stopped, taken over."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from chatbot.errors import Conflict, InvalidInput
from chatbot.learning import canary, runs
from chatbot.learning.models import Dataset, TrainingRun
from chatbot.releases import versions
from support_portal.accounts.models import User


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATA_DIR = tmp_path
    settings.MODELS_DIR = tmp_path / "models"
    monkeypatch.setattr(runs, "BEAT_S", 0.05)


@pytest.fixture
def dataset(db: None, tmp_path: Path) -> Dataset:
    (tmp_path / "base").mkdir()
    versions.record_loaded("house-model", folder=tmp_path / "base")
    return Dataset.objects.create(name="march", folder="datasets/march", sha256="0" * 64)


@pytest.fixture
def trains(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let a few lines of Python stand in for the training script; `out` is the run's folder."""

    def stand_in(program: str) -> None:
        head = "import json, pathlib, sys, time; out = pathlib.Path(sys.argv[1])\n"
        monkeypatch.setattr(runs, "command", lambda run: [sys.executable, "-c", head + program, str(runs.folder_of(run))])

    return stand_in


def leave(**result: Any) -> str:
    return f"(out / 'result.json').write_text({json.dumps(json.dumps(result))})"


def test_a_failure_keeps_its_code_and_the_live_version(dataset: Dataset, trains: Callable[[str], None]) -> None:
    trains(leave(status="failed", error="dataset_too_small", text="Approve more."))
    run = runs.start(dataset)
    runs.execute(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error, run.error_text) == ("failed", "dataset_too_small", "Approve more.")
    live = versions.live_version()
    assert live is not None and live.name == "house-model"


def test_a_process_that_dies_without_a_word(dataset: Dataset, trains: Callable[[str], None]) -> None:
    trains("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    run = runs.start(dataset)
    runs.execute(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error) == ("failed", "killed")


def test_an_adapter_that_does_not_fit_is_refused(dataset: Dataset, trains: Callable[[str], None]) -> None:
    trains("(out / 'adapter').mkdir(); (out / 'manifest.json').write_text('{}'); " + leave(status="done"))
    run = runs.start(dataset)
    runs.execute(run.pk)
    run.refresh_from_db()
    assert run.status == "failed" and run.error and run.version is None


def test_a_run_is_stopped_and_resumed(dataset: Dataset, trains: Callable[[str], None], omar: User) -> None:
    run = runs.start(dataset, by_id=omar.pk)
    runs.stop(run, by_id=omar.pk)
    run.refresh_from_db()
    assert run.status == "stopped"
    runs.execute(run.pk)  # nobody takes what was stopped
    run.refresh_from_db()
    assert run.status == "stopped"
    runs.resume(run)
    trains(leave(status="stopped"))
    runs.execute(run.pk)
    run.refresh_from_db()
    assert run.status == "stopped" and run.finished_at is not None


def test_one_run_at_a_time_and_orphans_are_taken_over(dataset: Dataset, trains: Callable[[str], None]) -> None:
    first, second = runs.start(dataset), runs.start(dataset)
    TrainingRun.objects.filter(pk=first.pk).update(status="running", beat_at=timezone.now())
    runs.execute(second.pk)
    second.refresh_from_db()
    assert second.status == "waiting" and runs.orphans() == [second.pk]
    TrainingRun.objects.filter(pk=first.pk).update(beat_at=timezone.now() - timedelta(minutes=5))
    assert runs.orphans() == [first.pk, second.pk]
    trains(leave(status="stopped"))
    runs.execute(first.pk)
    first.refresh_from_db()
    assert first.status == "stopped"
    with pytest.raises(Conflict):
        TrainingRun.objects.filter(pk=first.pk).update(status="done")
        runs.resume(first)


def test_options_are_checked(dataset: Dataset) -> None:
    with pytest.raises(InvalidInput):
        runs.start(dataset, options={"shell": "rm"})
    with pytest.raises(InvalidInput):
        runs.start(dataset, options={"epochs": "many"})
    with pytest.raises(InvalidInput):
        runs.start(dataset, method="magic")
    run = runs.start(dataset, options={"epochs": "1.5"})
    assert "--epochs" in runs.command(run) and run.options == {"epochs": 1.5}


def test_chance_tells_worse_from_unlucky() -> None:
    assert canary.chance(20, 40, 5, 100) < canary.CERTAIN
    assert canary.chance(6, 40, 10, 100) > 0.1
    assert canary.chance(0, 10, 0, 10) == 1.0
