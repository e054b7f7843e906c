"""What the release desk shows of examples, datasets and comparisons. Reads only; the caller has checked the right."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Count, QuerySet

from chatbot.errors import InvalidInput, NotFound
from chatbot.learning import datasets, evaluating
from chatbot.learning.approving import SERIOUS
from chatbot.learning.datasets import Filters
from chatbot.learning.models import Dataset, Example, TrainingRun
from chatbot.learning.redaction import REDACTION_VERSION
from chatbot.releases.models import Evaluation, ModelVersion
from chatbot.training import manifest
from chatbot.training.failures import TrainingError

LINES_SHOWN = 10


@dataclass(frozen=True)
class Sought:
    """Which examples; an empty field does not restrict. flags: "any", "none", or one flag."""

    status: str = ""
    kind: str = ""
    source: str = ""
    locale: str = ""
    topic: str = ""
    flags: str = ""
    text: str = ""


@dataclass(frozen=True)
class Preview:
    """What a dataset with these filters would be made of, before caps and near-duplicates are taken off."""

    examples: int
    by: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Written:
    """How far a comparison is: answers both versions have written, of how many, and when the last came."""

    done: int
    total: int
    last_at: datetime | None


def examples(sought: Sought) -> QuerySet[Example]:
    """Newest first."""
    rows = Example.objects.select_related("proposed_by", "decided_by", "faq")
    for field in ("status", "kind", "source", "locale", "topic"):
        if value := getattr(sought, field):
            rows = rows.filter(**{field: value})
    if sought.flags == "none":
        rows = rows.filter(flags=[])
    elif sought.flags == "any":
        rows = rows.exclude(flags=[])
    elif sought.flags:
        rows = rows.filter(flags__contains=[sought.flags])
    if sought.text:
        rows = rows.filter(asked__question__icontains=sought.text) | rows.filter(chosen__icontains=sought.text)
    return rows.order_by("-pk")


def access_example(example_id: int) -> Example:
    """Raises NotFound."""
    rows = Example.objects.select_related("proposed_by", "decided_by", "faq", "merged_into")
    found = rows.filter(pk=example_id).first()
    if found is None:
        raise NotFound("This example does not exist.", code="unknown_example")
    return found


def next_example(sought: Sought, *, after: int) -> Example | None:
    """The next older one of a list, or the first of it at its end."""
    rows = examples(sought).exclude(pk=after)
    return rows.filter(pk__lt=after).first() or rows.first()


def status_counts() -> dict[str, int]:
    counted = dict(Example.objects.order_by().values_list("status").annotate(Count("pk")))
    return {value: counted.get(value, 0) for value in Example.Status.values}


def used(field: str, *, status: str = "") -> list[str]:
    """The locales or topics that examples have."""
    rows = Example.objects.filter(status=status) if status else Example.objects.all()
    return list(rows.exclude(**{field: ""}).order_by(field).values_list(field, flat=True).distinct())


def is_serious(example: Example) -> bool:
    """Whether somebody must have looked at this one example by itself before it may train."""
    return bool(set(example.flags) & set(SERIOUS))


def preview(filters: Filters) -> Preview:
    rows = Example.objects.filter(status=Example.Status.APPROVED, redaction_version=REDACTION_VERSION)
    rows = rows.exclude(consent=Example.Consent.WITHHELD)
    for field, wanted in (("locale", filters.locales), ("source", filters.sources), ("topic", filters.topics)):
        if wanted:
            rows = rows.filter(**{f"{field}__in": wanted})
    by = {field: _counts(rows, field) for field in ("kind", "source", "locale", "topic")}
    halves: dict[str, int] = {}
    for group in rows.values_list("group", flat=True):
        half = datasets.half_of(group)
        halves[half] = halves.get(half, 0) + 1
    return Preview(rows.count(), {**by, "half": {half: halves.get(half, 0) for half in manifest.HALVES}})


def _counts(rows: QuerySet[Example], field: str) -> dict[str, int]:
    return dict(rows.order_by(field).values_list(field).annotate(Count("pk")))


def list_datasets() -> QuerySet[Dataset]:
    return Dataset.objects.select_related("created_by").annotate(run_count=Count("runs"))


def access_dataset(dataset_id: int) -> Dataset:
    """Raises NotFound."""
    found = list_datasets().filter(pk=dataset_id).first()
    if found is None:
        raise NotFound("This dataset does not exist.", code="unknown_dataset")
    return found


def lines_path(dataset: Dataset, *, method: str, half: str) -> Path:
    """Raises NotFound."""
    path = manifest.lines_file(datasets.folder_of(dataset), method=method, half=half)
    if method not in manifest.METHODS or half not in manifest.HALVES or not path.is_file():
        raise NotFound("This dataset has no such lines.", code="unknown_lines")
    return path


def first_lines(dataset: Dataset, *, most: int = LINES_SHOWN) -> list[dict[str, Any]]:
    """A look at the training half; none when the folder is gone."""
    folder = datasets.folder_of(dataset)
    for method in manifest.METHODS:
        path = manifest.lines_file(folder, method=method, half="train")
        if path.is_file() and (lines := manifest.read_lines(folder, method=method, half="train")):
            return lines[:most]
    return []


def list_runs() -> QuerySet[TrainingRun]:
    return TrainingRun.objects.select_related("dataset", "base", "version", "created_by")


def runs_of(version: ModelVersion) -> QuerySet[TrainingRun]:
    return list_runs().filter(version=version)


def dataset_of(version: ModelVersion) -> Dataset | None:
    """What a version, or the adapter that it was made of, was trained from, if that is here."""
    return Dataset.objects.filter(name=version.lineage.get("dataset", "")).first()


def written(version: ModelVersion, against: ModelVersion) -> Written | None:
    """How far the newest comparison of these two is; none when no answer was ever asked for."""
    folder = _newest_folder()
    if folder is None:
        return None
    total = _line_count(folder / "prompts.jsonl")
    files = [folder / f"{one.name}.jsonl" for one in (against, version)]
    there = [path for path in [folder / "prompts.jsonl", *files] if path.exists()]
    last = max(path.stat().st_mtime for path in there)
    return Written(sum(map(_line_count, files)), 2 * total, datetime.fromtimestamp(last, tz=UTC))


def answers_of_both(evaluation: Evaluation) -> tuple[Path, dict[str, dict[str, str]]] | None:
    """What both versions wrote to the same questions: id -> {"question", "language", "before", "after"}; and where it is kept.

    None when the dataset or the answers are not here any more.
    """
    dataset = Dataset.objects.filter(name=evaluation.dataset).first()
    if dataset is None:
        return None
    try:
        lines = evaluating.heldout(dataset)
    except (InvalidInput, TrainingError):
        return None
    for folder in _folders():
        before, after = (_texts(folder / f"{one.name}.jsonl") for one in (evaluation.against, evaluation.version))
        both = {line["id"]: _beside(line, before, after) for line in lines if line["id"] in before and line["id"] in after}
        if both:
            return folder, both
    return None


def _beside(line: dict[str, Any], before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    asked = line["asked"]
    return {
        "question": asked["question"],
        "language": asked["language"],
        "known": "\n\n".join(f"{one['question']}\n{one['answer']}" for one in asked["passages"]),
        "before": before[line["id"]],
        "after": after[line["id"]],
    }


def _folders() -> list[Path]:
    """Of comparisons, the newest first."""
    prompts = (Path(settings.DATA_DIR) / evaluating.FOLDER).glob("*/prompts.jsonl")
    return [path.parent for path in sorted(prompts, key=lambda path: -path.stat().st_mtime)]


def _newest_folder() -> Path | None:
    return next(iter(_folders()), None)


def _texts(path: Path) -> dict[str, str]:
    return {line["id"]: line["text"] for line in manifest.lines_so_far(path)}


def _line_count(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0
