"""The comparison with invented answers: what the versions wrote decides, and what the gate says is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatbot.answering.grounding import NO_ANSWER
from chatbot.errors import Conflict
from chatbot.learning import datasets, evaluating
from chatbot.learning.evaluating import Regression
from chatbot.learning.models import Dataset
from chatbot.quality.tasks import compare_version
from chatbot.releases import stages, versions
from chatbot.releases.models import ModelVersion
from tests.learning.test_learning import data_dir, faqs, gathered  # noqa: F401

PLAIN_RIGHT = {task["id"]: task["accept"].split("|")[0].replace("\\b", "").replace("\\", "") for task in evaluating.plain_tasks()}


@pytest.fixture
def candidate(gathered: None, tmp_path: Path) -> ModelVersion:  # noqa: F811
    (tmp_path / "base").mkdir()
    base = versions.record_loaded("house-model", folder=tmp_path / "base")
    return ModelVersion.objects.create(name="candidate", base=base, folder="adapters/candidate")


@pytest.fixture
def dataset(candidate: ModelVersion) -> Dataset:
    return datasets.build("march")


def written(monkeypatch: pytest.MonkeyPatch, dataset: Dataset, *, live: str, candidate: str) -> None:
    """right: the approved answers; refusing: NO_ANSWER to everything; nonsense: what nobody asked."""
    wanted = {line["id"]: line["completion"] for line in evaluating.heldout(dataset)}

    def answers(version: ModelVersion, prompts: Path, *, folder: Path) -> evaluating.Answers:
        how = live if version.base_id is None else candidate
        found = {}
        for line in prompts.read_text().splitlines():
            name = json.loads(line)["id"]
            text = {"right": wanted.get(name, "yes"), "refusing": NO_ANSWER, "nonsense": "purple rain"}[how]
            if name.startswith("plain:") and how != "nonsense":
                text = PLAIN_RIGHT[name]
            found[name] = {"id": name, "text": text, "tokens": 5, "ms": 10}
        return found

    monkeypatch.setattr(evaluating, "answers_of", answers)


def codes(verdict: dict[str, Any]) -> list[str]:
    return [code for code, _ in verdict["reasons"]]


def test_a_better_candidate_passes_and_may_go_live(
    monkeypatch: pytest.MonkeyPatch, dataset: Dataset, candidate: ModelVersion
) -> None:
    monkeypatch.setattr("chatbot.learning.gate.MIN_QUESTIONS", 10)
    monkeypatch.setattr(versions, "verify_files", lambda version: Path("/"))
    written(monkeypatch, dataset, live="refusing", candidate="right")
    evaluation = evaluating.evaluate(candidate, dataset, regression=[])
    assert evaluation.passed, evaluation.verdict["reasons"]
    assert evaluation.table["after"]["right"] > 0.85 > evaluation.table["before"]["right"]
    assert evaluation.table["before"]["refusals_wanted"] == 1.0
    assert stages.to_live("candidate").is_live


def test_nonsense_and_broken_questions_are_refused(
    monkeypatch: pytest.MonkeyPatch, dataset: Dataset, candidate: ModelVersion
) -> None:
    written(monkeypatch, dataset, live="right", candidate="nonsense")
    regression = Regression("regression:1", [{"role": "user", "content": "?"}], right=lambda text: text == "yes")
    evaluation = evaluating.evaluate(candidate, dataset, regression=[regression])
    assert not evaluation.passed
    assert {"no_gain", "plain_tasks_lose", "regression_broken"} <= set(codes(evaluation.verdict))
    with pytest.raises(Conflict):
        stages.to_live("candidate")


def test_who_saw_the_held_out_half_is_refused(monkeypatch: pytest.MonkeyPatch, dataset: Dataset, candidate: ModelVersion) -> None:
    candidate.trained_on = [evaluating.heldout(dataset)[0]["id"]]
    written(monkeypatch, dataset, live="refusing", candidate="right")
    assert "saw_heldout" in codes(evaluating.evaluate(candidate, dataset, regression=[]).verdict)


def test_the_test_questions_guard_a_comparison_begun_in_the_browser(
    monkeypatch: pytest.MonkeyPatch, dataset: Dataset, candidate: ModelVersion
) -> None:
    written(monkeypatch, dataset, live="right", candidate="nonsense")
    question = Regression("regression:1", [{"role": "user", "content": "?"}], right=lambda text: text == "yes")
    monkeypatch.setattr("chatbot.quality.tasks.regressions", lambda: iter([question]))
    compare_version(candidate.pk, dataset.pk)
    assert "regression_broken" in codes(candidate.evaluations.get().verdict)
