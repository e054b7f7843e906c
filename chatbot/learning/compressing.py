"""What merging an adapter into its base weights costs and gains: both answer the same frozen questions, and both are timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from chatbot.errors import Conflict
from chatbot.learning import evaluating
from chatbot.learning.evaluating import Comparison, Regression
from chatbot.learning.gate import Verdict
from chatbot.learning.models import Dataset
from chatbot.releases import cards, merging, versions
from chatbot.releases.models import Evaluation, ModelVersion

# Of the gate's reasons those that count here too: nobody asks of the same weights that they gain anything.
# They have codes of their own, for rounding is to blame and not the training.
KEPT_REASONS = {"plain_tasks_lose": "merged_plain_tasks_lose", "regression_broken": "merged_regression_broken"}


def adapter_of(merged: ModelVersion) -> ModelVersion:
    """The adapter that merged weights hold. Raises Conflict when it is not here with its files."""
    found = ModelVersion.objects.select_related("base").filter(name=merged.merged_from).exclude(folder="").first()
    if found is None or found.weights_sha256 != merged.lineage.get("adapter_sha256", found.weights_sha256):
        raise Conflict(f"The adapter that {merged} was made of is not on this machine.", code="version_gone")
    return found


def measure(
    merged: ModelVersion,
    dataset: Dataset,
    *,
    regression: Sequence[Regression],
    most: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Hold merged weights against the adapter they were made of, and store the table, its `compression` included.

    Raises Conflict, InvalidInput, TrainingError, ModelRefused.
    """
    adapter, begun = adapter_of(merged), time.monotonic()
    compared = evaluating.ask_both(adapter, merged, dataset, regression=regression, most=most, progress=progress)
    progress("the clock: both in turn")
    speed = merging.speed_ratio(adapter, merged, prompts=compared.prompts)
    questions = [line["id"] for line in evaluating.heldout(dataset, most=most)]
    compression = {
        "same": _same(compared, questions),
        "tokens_per_s_before": speed["before"],
        "tokens_per_s_after": speed["after"],
        "speed_ratio": speed["ratio"],
    }
    compared = replace(compared, figures=compared.figures | {"compression": compression}, verdict=_verdict(compared.verdict))
    stored = evaluating.store(merged, adapter, dataset, compared, seconds=time.monotonic() - begun)
    cards.describe(merged, versions.adapter_folder(merged))
    return stored


def _same(compared: Comparison, questions: Sequence[str]) -> float:
    before, after = compared.answers
    same: int = sum(before[one]["text"] == after[one]["text"] for one in questions)
    return round(same / max(1, len(questions)), 4)


def _verdict(verdict: Verdict) -> Verdict:
    """Passed, unless right answers are lost beyond chance, or what the gate never lets go by."""
    reasons: list[Any] = [(KEPT_REASONS[code], text) for code, text in verdict.reasons if code in KEPT_REASONS]
    if verdict.upper95 < 0:
        told = f"Merged, it gives {-100 * verdict.gain:.1f} points fewer right answers, which is no chance."
        reasons.append(("merged_loses", told))
    return replace(verdict, passed=not reasons, reasons=tuple(reasons))
