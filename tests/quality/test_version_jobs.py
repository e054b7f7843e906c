"""What the release desk asked of the training worker: done once, and every end is told, also a death."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from chatbot.engine.manifest import ModelRefused
from chatbot.errors import Conflict, Unavailable
from chatbot.learning import compressing, evaluating
from chatbot.quality import tasks, version_jobs
from chatbot.releases import jobs, merging
from chatbot.releases.models import Job, ModelVersion
from chatbot.training.failures import TrainingError

pytestmark = pytest.mark.django_db


@pytest.fixture
def version() -> ModelVersion:
    base = ModelVersion.objects.create(name="house-model")
    return ModelVersion.objects.create(name="tuned", base=base, folder="adapters/tuned")


def ask(version: ModelVersion, *, kind: str = "merge", dataset: str = "") -> Job:
    return jobs.ask(kind, version, dataset=dataset, enqueue=lambda job_id: True)


def ended(job: Job) -> tuple[str, str]:
    job.refresh_from_db()
    return job.status, job.error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelRefused("model_disk_full", "no room"), "model_disk_full"),
        (TrainingError("killed", "it was killed"), "killed"),
        (Conflict("busy", code="merge_busy"), "merge_busy"),
        (OSError(28, "No space left on device"), "disk_full"),
        (ZeroDivisionError(), "internal"),
    ],
)
def test_every_failure_is_told(version: ModelVersion, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(merging, "merge", fail)
    job = ask(version)
    version_jobs.execute(job.pk)
    assert ended(job) == ("failed", code)
    assert ask(version).pk != job.pk  # and it may be asked for again


def test_one_at_a_time_and_only_once(version: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(merging, "merge", lambda found, **_: done.append(found.name))
    job = ask(version)
    with pytest.raises(Conflict, match="under way"):
        ask(version, kind="compare")
    version_jobs.execute(job.pk)
    version_jobs.execute(job.pk)
    assert done == ["tuned"] and ended(job) == ("done", "")
    with pytest.raises(Unavailable):
        jobs.ask("merge", version, enqueue=lambda job_id: False)
    assert not Job.objects.filter(status="waiting").exists()


def test_a_worker_that_died_is_noticed(version: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask(version)
    assert jobs.claim(job.pk) is not None and jobs.claim(job.pk) is None
    Job.objects.update(beat_at=timezone.now() - 2 * jobs.SILENCE)
    newest = jobs.newest(version)
    assert newest is not None and (newest.status, newest.error) == ("failed", "killed")
    lost = ask(version)
    assert jobs.waiting() == []
    Job.objects.filter(pk=lost.pk).update(asked_at=timezone.now() - timedelta(minutes=5))
    sent: list[tuple[int, ...]] = []
    monkeypatch.setattr(tasks.work_on_version, "apply_async", lambda arguments, **where: sent.append(arguments))
    tasks.resume_runs()
    assert sent == [(lost.pk,)]


@pytest.mark.django_db(transaction=True)
def test_a_busy_worker_says_that_it_lives(version: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "BEAT_S", 0.01)
    job = jobs.claim(ask(version).pk)
    assert job is not None and job.beat_at is not None
    with jobs.alive(job):
        before = job.beat_at
        while Job.objects.get(pk=job.pk).beat_at == before:
            pass


def test_merged_weights_are_held_against_their_adapter(version: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    from chatbot.learning.models import Dataset

    Dataset.objects.create(name="march", folder="datasets/march", sha256="0" * 64)
    merged = ModelVersion.objects.create(name="tuned-merged", folder="/m", lineage={"adapter": "tuned"})
    asked: list[tuple[str, str]] = []
    for room, name, function in ((compressing, "measure", "merged"), (evaluating, "evaluate", "live")):
        monkeypatch.setattr(room, name, lambda found, dataset, *, regression, way=function: asked.append((found.name, way)))
    monkeypatch.setattr(merging, "merge", lambda found, **_: merged)
    for kind, one in (("merge", version), ("compare", version), ("compare", merged)):
        job = ask(one, kind=kind, dataset="march")
        version_jobs.execute(job.pk)
        assert ended(job) == ("done", "")
    assert asked == [("tuned-merged", "merged"), ("tuned", "live"), ("tuned-merged", "merged")]
    gone = ask(version, kind="compare", dataset="april")
    version_jobs.execute(gone.pk)
    assert ended(gone) == ("failed", "dataset_missing")
