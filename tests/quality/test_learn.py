"""`manage.py learn`: a version that learnt its lessons and forgot others is compared again at less strength."""

from __future__ import annotations

import io
from typing import Any

import pytest

from chatbot.learning import evaluating
from chatbot.learning.models import Dataset, TrainingRun
from chatbot.quality import light_parts
from chatbot.quality.management.commands import learn
from chatbot.releases import scaling
from chatbot.releases.models import Evaluation, ModelVersion

BROKEN, DULL, WORSE = ("regression_broken", "One broke."), ("plain_tasks_lose", "Duller."), ("no_gain", "Chance.")


@pytest.mark.parametrize(
    ("verdicts", "names"),
    [
        ([[]], ["tuned"]),
        ([[BROKEN], []], ["tuned", "tuned-at-0.7"]),
        ([[BROKEN, DULL], [DULL], []], ["tuned", "tuned-at-0.7", "tuned-at-0.5"]),
        ([[BROKEN], [WORSE]], ["tuned", "tuned-at-0.7"]),  # it forgets less and has learnt too little
        ([[BROKEN, WORSE]], ["tuned"]),
    ],
)
def test_less_strength_where_only_something_was_forgotten(
    monkeypatch: pytest.MonkeyPatch, verdicts: list[list[tuple[str, str]]], names: list[str]
) -> None:
    told = iter(verdicts)

    def evaluate(version: ModelVersion, dataset: Dataset, **options: Any) -> Evaluation:
        reasons = next(told)
        return Evaluation(version=version, verdict={"reasons": reasons}, passed=not reasons)

    compared: list[str] = []
    monkeypatch.setattr(learn, "regressions", lambda: [])
    monkeypatch.setattr(
        evaluating, "evaluate", lambda version, *args, **more: compared.append(version.name) or evaluate(version, *args, **more)
    )
    monkeypatch.setattr(scaling, "scaled", lambda version, *, strength: ModelVersion(name=f"{version.name}-at-{strength}"))
    monkeypatch.setattr(light_parts, "refit", lambda version: {})
    run = TrainingRun(version=ModelVersion(name="tuned"), dataset=Dataset(name="march"))
    evaluation = learn.Command(stdout=io.StringIO())._compare(run, {"questions": 40})
    assert compared == names and evaluation.version.name == names[-1] and next(told, None) is None
