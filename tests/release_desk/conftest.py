"""A live base, a tuned version on it, and examples enough for a small dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from chatbot.learning import datasets, tasks
from chatbot.learning.models import Dataset, Example
from chatbot.learning.redaction import REDACTION_VERSION
from chatbot.quality.tasks import work_on_version
from chatbot.releases import versions
from chatbot.releases.models import Evaluation, ModelVersion
from support_portal.accounts.models import User
from tests.releases.conftest import make_adapter, models_dir

__all__ = ["make_adapter", "models_dir"]
Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Any) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


@pytest.fixture
def admin(client: Client, omar: User) -> Client:
    client.force_login(omar)
    return client


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Nothing goes to a worker; what would have gone is listed."""
    found: list[tuple[int, ...]] = []
    for task in (tasks.train, tasks.sweep, work_on_version):
        monkeypatch.setattr(task, "apply_async", lambda arguments, **where: found.append(arguments))
    return found


@pytest.fixture
def base(db: None, tmp_path: Path) -> ModelVersion:
    (tmp_path / "base").mkdir()
    return versions.record_loaded("house-model", folder=tmp_path / "base")


@pytest.fixture
def tuned(base: ModelVersion, make_adapter: Make) -> ModelVersion:
    return versions.add_adapter(make_adapter(), name="tuned")


def judged(version: ModelVersion, *, passed: bool, dataset: str = "march") -> Evaluation:
    """An evaluation as the gate stores it."""
    live = versions.live_version()
    assert live is not None
    figures = {"right": 0.6, "answers_right": 0.7, "median_ms": 900}
    reasons = [] if passed else [["no_gain", "The gain of +1.0 points may be chance."]]
    piece = {"kind": "locale", "name": "en", "questions": 60, "before": 0.6, "after": 0.7, "gain": 0.1}
    verdict = {"reasons": reasons, "questions": 60, "before": 0.6, "after": 0.7, "gain": 0.1, "lower95": 0.02, "upper95": 0.18}
    return Evaluation.objects.create(
        version=version,
        against=live,
        dataset=dataset,
        data_sha256="0",
        passed=passed,
        table={"questions": 60, "before": figures, "after": figures | {"right": 0.7}},
        verdict=verdict | {"slices": [piece | {"lower95": 0.02, "upper95": 0.18}], "plain": {}},
    )


def made(number: int, *, question: str = "", **fields: Any) -> Example:
    """A corrected answer of a conversation of its own."""
    passage = {"key": "hours", "locale": "en", "question": "When do you open?", "answer": "Daily from ten.", "revision": 1}
    words = question or f"{hashlib.sha256(str(number).encode()).hexdigest()[:24]} open?"  # no two alike
    asked = {"question": words, "language": "en", "passages": [passage], "history": []}
    values = {
        "kind": "answer",
        "source": "correction",
        "origin": f"correction:{number}",
        "locale": "en",
        "topic": "Hours",
        "asked": asked,
        "chosen": f"Daily from ten [1]. {number}",
        "group": f"conversation:{number}",
        "fingerprint": f"f{number}",
        "redaction_version": REDACTION_VERSION,
        "happened_at": timezone.now(),
    }
    return Example.objects.create(**values | fields)


@pytest.fixture
def approved(db: None) -> list[Example]:
    return [made(number, status="approved", decided_at=timezone.now()) for number in range(24)]


@pytest.fixture
def dataset(approved: list[Example]) -> Dataset:
    return datasets.build("march")
