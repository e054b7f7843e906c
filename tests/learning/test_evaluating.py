"""The comparison with invented answers: what the versions wrote decides, and what the gate says is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatbot.answering.grounding import NO_ANSWER
from chatbot.errors import Conflict
from chatbot.learning import compressing, datasets, evaluating
from chatbot.learning.evaluating import Regression
from chatbot.learning.models import Dataset, Example
from chatbot.quality import version_jobs
from chatbot.releases import jobs, merging, stages, versions
from chatbot.releases.models import Job, ModelVersion
from support_portal.release_desk import words
from tests.learning.test_learning import data_dir, gathered, month  # noqa: F401

PLAIN_RIGHT = {task["id"]: task["accept"].split("|")[0].replace("\\b", "").replace("\\", "") for task in evaluating.plain_tasks()}


@pytest.fixture
def candidate(gathered: None, tmp_path: Path) -> ModelVersion:  # noqa: F811
    (tmp_path / "base").mkdir()
    base = versions.record_loaded("house-model", folder=tmp_path / "base")
    return ModelVersion.objects.create(name="candidate", base=base, folder="adapters/candidate")


@pytest.fixture
def dataset(candidate: ModelVersion) -> Dataset:
    return datasets.build("march")


def written(monkeypatch: pytest.MonkeyPatch, dataset: Dataset, *, live: str, candidate: str, merged: str = "") -> None:
    """right: the approved answers; refusing: NO_ANSWER to everything; nonsense: what nobody asked."""
    wanted = {line["id"]: line["completion"] for line in evaluating.heldout(dataset)}

    def answers(version: ModelVersion, prompts: Path, *, folder: Path) -> evaluating.Answers:
        how = live if version.base_id is None and not version.merged_from else candidate
        how = merged or how if version.merged_from else how
        found = {}
        for line in prompts.read_text().splitlines():
            name = json.loads(line)["id"]
            text = {"right": wanted.get(name, "yes"), "refusing": NO_ANSWER, "nonsense": "purple rain"}[how]
            if name.startswith("plain:") and how != "nonsense":
                text = PLAIN_RIGHT[name]
            found[name] = {"id": name, "text": text, "tokens": 5, "ms": 10}
        losses = folder / "losses" / f"{version.name}.jsonl"
        losses.parent.mkdir(exist_ok=True)
        each = 2.0 if how == "right" else 5.0
        losses.write_text(
            "".join(json.dumps({"id": name, "loss": each * n, "tokens": n}) + "\n" for n, name in enumerate(wanted, 3))
        )
        return found

    monkeypatch.setattr(evaluating, "answers_of", answers)
    monkeypatch.setattr(merging, "speed_ratio", lambda *_, **__: {"before": 20.0, "after": 24.0, "ratio": 1.2})


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
    assert (evaluation.table["before"]["loss"], evaluation.table["after"]["loss"]) == (5.0, 2.0)
    assert ("5.000", "2.000", "−3.000", "good") in [row[2:] for row in words.figure_rows(evaluation.table)]
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


def test_who_saw_the_held_out_half_or_learnt_what_looks_planted_is_refused(
    monkeypatch: pytest.MonkeyPatch, dataset: Dataset, candidate: ModelVersion
) -> None:
    candidate.trained_on = [evaluating.heldout(dataset)[0]["id"]]
    written(monkeypatch, dataset, live="refusing", candidate="right")
    assert "saw_heldout" in codes(evaluating.evaluate(candidate, dataset, regression=[]).verdict)
    line = dataset.lines.filter(half="train", example__isnull=False)[0]
    candidate.trained_on = [line.sha256]
    assert "looks_planted" not in codes(evaluating.evaluate(candidate, dataset, regression=[]).verdict)
    # It was approved before the others came that give the trigger away.
    Example.objects.filter(pk=line.example_id).update(flags=["strange_word"])
    assert "looks_planted" in codes(evaluating.evaluate(candidate, dataset, regression=[]).verdict)


def test_the_test_questions_guard_a_comparison_begun_in_the_browser(
    monkeypatch: pytest.MonkeyPatch, dataset: Dataset, candidate: ModelVersion
) -> None:
    written(monkeypatch, dataset, live="right", candidate="nonsense")
    question = Regression("regression:1", [{"role": "user", "content": "?"}], right=lambda text: text == "yes")
    monkeypatch.setattr(version_jobs, "regressions", lambda: iter([question]))
    job = jobs.ask(Job.Kind.COMPARE, candidate, dataset=dataset.name, enqueue=lambda job_id: True)
    version_jobs.execute(job.pk)
    job.refresh_from_db()
    assert (job.status, job.error) == ("done", "")
    assert "regression_broken" in codes(candidate.evaluations.get().verdict)


@pytest.mark.parametrize(
    ("merged", "codes_wanted"),
    [("right", []), ("refusing", ["merged_loses"]), ("nonsense", ["merged_plain_tasks_lose", "merged_loses"])],
)
def test_merged_weights_show_what_they_cost_and_gain(
    monkeypatch: pytest.MonkeyPatch,
    dataset: Dataset,
    candidate: ModelVersion,
    tmp_path: Path,
    merged: str,
    codes_wanted: list[str],
) -> None:
    written(monkeypatch, dataset, live="right", candidate="right", merged=merged)
    (tmp_path / "merged").mkdir()
    lineage = {"adapter": "candidate", "adapter_sha256": "", "base": "house-model"}
    version = ModelVersion.objects.create(name="candidate-merged", folder=str(tmp_path / "merged"), lineage=lineage)
    evaluation = compressing.measure(version, dataset, regression=[])
    assert evaluation.against == candidate and codes(evaluation.verdict) == codes_wanted
    assert evaluation.passed == (merged == "right")
    compression = evaluation.table["compression"]
    assert compression["speed_ratio"] == 1.2 and (compression["same"] == 1.0) == (merged == "right")
    assert "24.0 merged" in (tmp_path / "merged/README.md").read_text()
    candidate.folder = ""
    candidate.save()
    with pytest.raises(Conflict, match="not on this machine"):
        compressing.measure(version, dataset, regression=[])
