"""What is held of a person for learning, and how it goes: from the examples, from the frozen sets, and from the next model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from chatbot.learning import datasets
from chatbot.learning.models import Dataset, DatasetLine, Example, TrainingRun
from chatbot.staffing import audit


@dataclass(frozen=True)
class Forgotten:
    """versions: trained on what was erased, by name; each of them wants training anew without it."""

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
    """The names of all versions whose training half held a person's words."""
    runs = TrainingRun.objects.filter(
        version__isnull=False, dataset__lines__example__customer_id=customer_id, dataset__lines__half__in=["train", "tuning"]
    )
    return sorted(set(runs.values_list("version__name", flat=True)))


@transaction.atomic
def forget_person(customer_id: UUID, *, by_id: int | None = None) -> Forgotten:
    """Erase a person's examples and take their lines out of every dataset. Call it before the customer's row goes.

    Weights cannot forget: the versions that have learnt from them are named, so that they are trained anew.
    """
    versions = versions_trained_on(customer_id)
    lines = DatasetLine.objects.filter(example__customer_id=customer_id)
    affected = list(Dataset.objects.filter(lines__in=lines).distinct())
    for dataset in affected:
        datasets.take_out(dataset, set(lines.filter(dataset=dataset).values_list("sha256", flat=True)))
    lines.delete()
    count, _ = Example.objects.filter(customer_id=customer_id).delete()
    names = tuple(dataset.name for dataset in affected)
    if count:
        detail: dict[str, int | list[str]] = {"examples": count, "datasets": len(names), "versions": versions[:50]}
        audit.record(by_id, "person.examples_erased", f"customer {customer_id}", detail)
    return Forgotten(count, names, tuple(versions))
