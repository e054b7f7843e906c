"""After an erasure: what has learnt from it is found, and trained anew without it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chatbot.conversations.models import Customer
from chatbot.errors import Conflict, NotFound
from chatbot.learning import datasets, evaluating, forgetting, retraining, runs, sweeping, tasks
from chatbot.learning.models import Dataset, TrainingRun
from chatbot.releases import versions
from chatbot.releases.models import ModelVersion
from chatbot.training import manifest
from support_portal.accounts.models import User
from tests.release_desk.conftest import made

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Any) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


@pytest.fixture
def dataset(alice: Customer, amir: Customer, omar: User) -> Dataset:
    """Alice's words stand in three lines of the training half, and in one of the held-out half."""
    of_half: dict[str, list[str]] = {half: [] for half in manifest.HALVES}
    for number in range(60):
        of_half[datasets.half_of(f"conversation:{number}")].append(f"conversation:{number}")
    hers = {*of_half["train"][:3], of_half["heldout"][0]}
    for number, group in enumerate(sum(of_half.values(), [])):
        who = alice if group in hers else amir if number % 9 == 0 else Customer.objects.create()
        made(number, group=group, customer=who, status="approved", decided_at=datetime.now(UTC))
    return datasets.build("march")


@pytest.fixture
def tuned(dataset: Dataset, tmp_path: Path) -> ModelVersion:
    (tmp_path / "base").mkdir()
    versions.record_loaded("house-model", folder=tmp_path / "base")
    return trained(runs.start(dataset, options={"epochs": 1.0}), "tuned")


def trained(run: TrainingRun, name: str) -> ModelVersion:
    """What the run's end would list."""
    ids = [line["id"] for line in manifest.read_lines(datasets.folder_of(run.dataset), method="sft", half="train")]
    version = ModelVersion.objects.create(name=name, base=run.base, folder=f"adapters/{name}", trained_on=ids)
    TrainingRun.objects.filter(pk=run.pk).update(status="done", version=version, finished_at=datetime.now(UTC))
    return version


def test_an_erasure_is_a_thing_to_do_until_the_files_are_gone(tuned: ModelVersion, alice: Customer, omar: User) -> None:
    assert retraining.tainted() == []
    with pytest.raises(NotFound):
        retraining.retrain(tuned.pk)
    assert forgetting.forget_person(alice.pk).versions == ("tuned",)
    (found,) = retraining.tainted()
    assert (found.version, found.examples, found.retraining) == (tuned, 3, None)
    run = retraining.retrain(tuned.pk, by_id=omar.pk)
    assert (run.dataset, run.method, run.options, run.retrains) == (found.source.dataset, "sft", {"epochs": 1.0}, tuned)
    with pytest.raises(Conflict, match="already"):
        retraining.retrain(tuned.pk)
    assert retraining.tainted()[0].under_way
    clean = trained(run, "clean")
    (left,) = retraining.tainted()
    assert left.retraining is not None and left.retraining.version == clean and not left.under_way
    ModelVersion.objects.filter(pk=tuned.pk).update(folder="")
    assert retraining.tainted() == []


def test_a_run_under_way_when_somebody_goes_is_found_when_it_ends(tuned: ModelVersion, dataset: Dataset, amir: Customer) -> None:
    run = runs.start(dataset)
    late = trained(run, "late")  # its process has read the lines
    TrainingRun.objects.filter(pk=run.pk).update(version=None)
    forgetting.forget_person(amir.pk)
    TrainingRun.objects.filter(pk=run.pk).update(version=late)
    assert [one.version.name for one in retraining.tainted()] == ["late", "tuned"]


def test_at_night_what_answers_customers_is_begun_by_itself_once(
    tuned: ModelVersion, alice: Customer, amir: Customer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, ...]] = []
    monkeypatch.setattr(tasks.train, "apply_async", lambda arguments, **where: sent.append(arguments))
    forgetting.forget_person(alice.pk)
    night = datetime(2026, 3, 2, 2, 30, tzinfo=UTC)
    monkeypatch.setattr(sweeping.timezone, "now", lambda: night)
    tasks.retrain_at_night()
    assert not sent, "nobody is answered by it"
    ModelVersion.objects.filter(pk=tuned.pk).update(stage="canary", canary_percent=5)
    settings.RETRAIN_AFTER_ERASURE = False
    tasks.retrain_at_night()
    settings.RETRAIN_AFTER_ERASURE = True
    monkeypatch.setattr(sweeping.timezone, "now", lambda: night.replace(hour=12))
    tasks.retrain_at_night()
    assert not sent, "not against the setting, and not by day"
    monkeypatch.setattr(sweeping.timezone, "now", lambda: night)
    tasks.retrain_at_night()
    tasks.retrain_at_night()
    assert len(sent) == 1
    trained(TrainingRun.objects.get(pk=sent[0][0]), "clean")
    tasks.retrain_at_night()
    assert len(sent) == 1, "it is made anew already"
    forgetting.forget_person(amir.pk)
    tasks.retrain_at_night()
    assert len(sent) == 2, "what was made anew has learnt from another who is gone now"


def test_weights_of_another_base_are_not_trained_anew_on_this_one(tuned: ModelVersion, alice: Customer) -> None:
    forgetting.forget_person(alice.pk)
    other = ModelVersion.objects.create(name="other-base", folder="/other")
    TrainingRun.objects.update(base=other)
    with pytest.raises(Conflict, match="MODEL=other-base"):
        retraining.retrain(tuned.pk)


def test_comparisons_forget_the_question_too(
    dataset: Dataset, alice: Customer, data_dir: Path, django_capture_on_commit_callbacks: Any
) -> None:
    folder = data_dir / evaluating.FOLDER / "0123"
    (folder / "losses").mkdir(parents=True)
    ids = [line["id"] for line in evaluating.heldout(dataset)]
    for name in ("prompts", "tuned", "losses/tuned"):
        manifest.write_lines(folder / f"{name}.jsonl", [{"id": one} for one in ids])
    with django_capture_on_commit_callbacks(execute=True):
        forgetting.forget_person(alice.pk)
    left = [line["id"] for line in evaluating.heldout(dataset)]
    assert len(left) == len(ids) - 1
    for name in ("prompts", "tuned", "losses/tuned"):
        assert [line["id"] for line in manifest.lines_so_far(folder / f"{name}.jsonl")] == left
