"""What is held of a person for learning, and how it goes: from the examples, from the frozen sets, and from the next model."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from chatbot.knowledge import learned
from chatbot.learning import datasets, evaluating
from chatbot.learning.models import Dataset, DatasetLine, Example
from chatbot.releases.models import ModelVersion
from chatbot.staffing import audit
from chatbot.training import manifest


@dataclass(frozen=True)
class Forgotten:
    """versions: trained on what was erased, by name; retraining.py makes each of them anew without it."""

    examples: int
    datasets: tuple[str, ...]
    versions: tuple[str, ...]


def held_of(customer_id: UUID) -> Iterator[dict[str, Any]]:
    """Everything learning holds of a person, for the export that he may ask for."""
    for example in Example.objects.filter(customer_id=customer_id).order_by("pk"):
        yield {
            "kind": example.kind,
            "source": example.source,
            "status": example.status,
            "consent": example.consent,
            "question": example.asked["question"],
            "history": example.asked.get("history", []),
            "answer": example.chosen,
            "rejected": example.rejected,
            "label": example.label,
            "datasets": sorted(set(example.lines.values_list("dataset__name", flat=True))),
            "at": example.happened_at.isoformat(),
        }


def versions_trained_on(customer_id: UUID) -> list[str]:
    """The names of all versions that have learnt from a person's words; those that hold such a one merged count too."""
    lines = DatasetLine.objects.filter(example__customer_id=customer_id, half="train")
    ids = set(lines.values_list("sha256", flat=True))
    trained_on = ModelVersion.objects.exclude(trained_on=[]).values_list("name", "trained_on") if ids else ()
    return sorted(name for name, learnt in trained_on if ids.intersection(learnt))


@transaction.atomic
def forget_person(customer_id: UUID, *, by_id: int | None = None) -> Forgotten:
    """Erase a person's examples, and their lines in every dataset and comparison. Call it before the customer's row goes.

    Weights cannot forget: the versions that have learnt from them are named, and retraining.py finds them from now on.
    """
    versions = versions_trained_on(customer_id)
    lines = DatasetLine.objects.filter(example__customer_id=customer_id)
    affected = list(Dataset.objects.filter(lines__in=lines).distinct())
    line_ids = set(lines.values_list("sha256", flat=True))
    transaction.on_commit(functools.partial(_take_out_of_comparisons, line_ids))
    learned.forget(line_ids)
    for dataset in affected:
        datasets.take_out(dataset, set(lines.filter(dataset=dataset).values_list("sha256", flat=True)))
    lines.delete()
    count, _ = Example.objects.filter(customer_id=customer_id).delete()
    names = tuple(dataset.name for dataset in affected)
    if count:
        detail: dict[str, int | list[str]] = {"examples": count, "datasets": len(names), "versions": versions[:50]}
        audit.record(by_id, "person.examples_erased", f"customer {customer_id}", detail)
    return Forgotten(count, names, tuple(versions))


def _take_out_of_comparisons(line_ids: set[str]) -> None:
    """What versions were asked in a comparison, what they wrote and how far off they were stands in files of its own."""
    for path in (Path(settings.DATA_DIR) / evaluating.FOLDER).glob("*/**/*.jsonl"):
        lines = manifest.lines_so_far(path)
        kept = [line for line in lines if line.get("id") not in line_ids]
        if len(kept) < len(lines):
            manifest.write_lines(path, kept)
