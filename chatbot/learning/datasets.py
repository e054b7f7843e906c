"""Frozen sets of approved examples, in a folder each: written by the same code that prompts the model in chat.

The halves are cut by a stable hash of the group (conversation or FAQ), so that the same conversation lands in the same half of
every dataset; questions of the training half that are nearly ones of the held-out half are left out.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from chatbot import runtime
from chatbot.answering.support import grams_of, letters_of
from chatbot.conversations import transcripts
from chatbot.errors import Conflict, InvalidInput
from chatbot.learning import shaping
from chatbot.learning.examples import person_of
from chatbot.learning.models import Dataset, DatasetLine, Example, Feedback
from chatbot.learning.redaction import REDACTION_VERSION
from chatbot.training import manifest
from chatbot.training.records import RatedCompletion, Turn

FORMAT = 1
FOLDER = "datasets"
TUNING_SHARE, HELDOUT_SHARE = 0.1, 0.25
# One person, or one day, gives at most this share of a method's training half, but so many in any case.
PERSON_SHARE, PERSON_LEAST = 0.05, 10
DAY_SHARE, DAY_LEAST = 0.25, 60
NEAR = 0.85
# A shorter question ("How much?") may stand in any answer.
LONG_CHARS = 20
TUNING_LEAST = 12


@dataclass(frozen=True)
class Filters:
    """Which approved examples go in; an empty field lets everything through. most: of each method's training half, 0 for all."""

    locales: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    most: int = 0


@dataclass
class _Line:
    example: Example
    method: str
    half: str
    fields: dict[str, Any]


def build(name: str, *, filters: Filters = Filters(), by_id: int | None = None) -> Dataset:
    """Freeze the approved examples. Raises InvalidInput when there is none, Conflict when the name is taken."""
    if not name or len(name) > 80 or not all(letter.isalnum() or letter in "-_." for letter in name) or name[0] == ".":
        raise InvalidInput("A dataset's name has letters, digits, dots and dashes, 80 at most.", field="name")
    if Dataset.objects.filter(name=name).exists():
        raise Conflict(f"There is a dataset called {name} already.", code="dataset_exists")
    lines, left_out = _lines(filters)
    if not lines:
        raise InvalidInput("No approved example matches; approve some first.", code="no_examples")
    folder = Path(settings.DATA_DIR) / FOLDER / name
    part = folder.with_name(f".{name}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        fields = _write(part, name, lines, filters=filters, left_out=left_out)
        with transaction.atomic():
            dataset = Dataset.objects.create(
                name=name, folder=f"{FOLDER}/{name}", sha256=fields["sha256"], manifest=fields, created_by_id=by_id
            )
            DatasetLine.objects.bulk_create(
                (DatasetLine(dataset=dataset, example=line.example, half=line.half, sha256=line.fields["id"]) for line in lines),
                batch_size=500,
            )
            shutil.rmtree(folder, ignore_errors=True)  # no row owns it
            part.rename(folder)
    except IntegrityError as error:
        raise Conflict(f"There is a dataset called {name} already.", code="dataset_exists") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return dataset


def folder_of(dataset: Dataset) -> Path:
    return Path(settings.DATA_DIR) / dataset.folder


def half_of(group: str) -> str:
    """The same for ever: nobody's conversation moves from the held-out half into training."""
    place = int(hashlib.sha256(f"half:{group}".encode()).hexdigest()[:8], 16) / 0x1_0000_0000
    return "heldout" if place < HELDOUT_SHARE else "tuning" if place < HELDOUT_SHARE + TUNING_SHARE else "train"


def compare(a: Dataset, b: Dataset) -> dict[str, int]:
    """How many lines two datasets share, and what each has alone."""
    ours, theirs = (set(d.lines.values_list("sha256", flat=True)) for d in (a, b))
    return {"both": len(ours & theirs), "only_first": len(ours - theirs), "only_second": len(theirs - ours)}


def take_out(dataset: Dataset, line_ids: set[str]) -> None:
    """Remove lines from a frozen set, file by file and whole, and say in its manifest that and how many."""
    folder = folder_of(dataset)
    if folder.is_dir():
        for method in manifest.METHODS:
            for half in manifest.HALVES:
                path = manifest.lines_file(folder, method=method, half=half)
                if path.exists():
                    kept = [line for line in manifest.read_lines(folder, method=method, half=half) if line["id"] not in line_ids]
                    manifest.write_lines(path, kept)
        dataset.sha256 = manifest.content_sha256(folder)
        erased = dataset.manifest.get("erased", 0) + len(line_ids)
        dataset.manifest = {**dataset.manifest, "sha256": dataset.sha256, "erased": erased}
        manifest.write_manifest(folder, dataset.manifest)
        dataset.save(update_fields=["sha256", "manifest"])


def rated_completions() -> Iterator[RatedCompletion]:
    """Every rated answer with the conversation that led to it, oldest first. Holds personal data."""
    rated = Feedback.objects.select_related("generation", "message__in_reply_to").order_by("pk")
    for feedback in rated.iterator(chunk_size=500):
        asked = feedback.message.in_reply_to
        if asked is None or not feedback.generation.text:
            continue
        before: list[Turn] = [Turn(role=turn.role, content=turn.text) for turn in transcripts.turns_before(asked)]
        yield RatedCompletion(
            prompt=[*before, Turn(role="user", content=asked.text)],
            completion=feedback.generation.text,
            label=feedback.rating > 0,
            reason=feedback.reason,
            model_version=feedback.generation.model_version,
            source=f"generation:{feedback.generation_id}",
        )


def _lines(filters: Filters) -> tuple[list[_Line], dict[str, int]]:
    """The lines of every method, and how many examples were left out for which reason."""
    left_out: Counter[str] = Counter()
    made = [line for example in _approved(filters) for line in _lines_of(example)]
    kept = _without_near(made, left_out)
    chosen: list[_Line] = []
    for method in manifest.METHODS:
        own = [line for line in kept if line.method == method]
        tuning = [line for line in own if line.half == "tuning"]
        chosen += [line for line in own if line.half == "heldout"]
        # Every look at the tuning half costs a pass over it: a small training half gets a small one.
        chosen += tuning[: max(TUNING_LEAST, filters.most // 8)] if filters.most else tuning
        chosen += _capped([line for line in own if line.half == "train"], left_out, most=filters.most)
    return chosen, dict(left_out)


def _approved(filters: Filters) -> Iterator[Example]:
    rows = Example.objects.filter(status=Example.Status.APPROVED, redaction_version=REDACTION_VERSION)
    rows = rows.exclude(consent=Example.Consent.WITHHELD)
    for field, wanted in (("locale", filters.locales), ("source", filters.sources), ("topic", filters.topics)):
        if wanted:
            rows = rows.filter(**{f"{field}__in": wanted})
    # By hash, so that a cut takes a fair sample and the order tells nothing.
    yield from sorted(rows, key=lambda example: hashlib.sha256(example.fingerprint.encode()).hexdigest())


def _lines_of(example: Example) -> Iterator[_Line]:
    asked = shaping.asked_of(example.asked)
    prompt = [{"role": m.role, "content": m.content} for m in shaping.messages_of(asked, company=runtime.company())]
    half = half_of(example.group)
    shared = {
        "id": manifest.line_sha256(prompt, example.chosen, example.rejected),
        "prompt": prompt,
        "locale": example.locale,
        "topic": example.topic,
        "source": example.source,
        "refusal": example.is_refusal,
        "asked": example.asked,
    }
    if example.kind == Example.Kind.RATED:
        yield _Line(example, "kto", half, {**shared, "completion": example.chosen, "label": bool(example.label)})
        return
    yield _Line(example, "sft", half, {**shared, "completion": example.chosen})
    if example.kind == Example.Kind.PAIR:
        yield _Line(example, "dpo", half, {**shared, "chosen": example.chosen, "rejected": example.rejected})


def _without_near(lines: list[_Line], left_out: Counter[str]) -> list[_Line]:
    """Leave out training lines that ask, or answer with, what the held-out half asks: it would look better than it is."""
    asked = [line.fields["asked"]["question"] for line in lines if line.half == "heldout"]
    held = [grams_of(question) for question in asked]
    letters = [found for question in asked if len(found := letters_of(question)) >= LONG_CHARS]
    kept = []
    for line in lines:
        grams = grams_of(line.fields["asked"]["question"]) if line.half != "heldout" else frozenset()
        if grams and any(shaping.alike(grams, other, at=NEAR) for other in held):
            left_out["near_heldout"] += 1
        elif line.half != "heldout" and _holds_any(line.example.chosen, letters):
            left_out["answers_heldout"] += 1
        else:
            kept.append(line)
    return kept


def _holds_any(answer: str, questions: list[str]) -> bool:
    letters = letters_of(answer)
    return any(question in letters for question in questions)


def _capped(lines: list[_Line], left_out: Counter[str], *, most: int) -> list[_Line]:
    of_person: Counter[str] = Counter()
    of_day: Counter[str] = Counter()
    person_cap, day_cap = max(PERSON_LEAST, PERSON_SHARE * len(lines)), max(DAY_LEAST, DAY_SHARE * len(lines))
    kept: list[_Line] = []
    for line in lines:
        person = person_of(line.example)
        day = line.example.happened_at.date().isoformat() if person else ""
        if person and of_person[person] >= person_cap:
            left_out["person_cap"] += 1
        elif day and of_day[day] >= day_cap:
            left_out["day_cap"] += 1
        elif most and len(kept) >= most:
            left_out["most"] += 1
        else:
            of_person[person] += 1
            of_day[day] += 1
            kept.append(line)
    return kept


def _write(part: Path, name: str, lines: list[_Line], *, filters: Filters, left_out: dict[str, int]) -> dict[str, Any]:
    for method in manifest.METHODS:
        for half in manifest.HALVES:
            own = [line.fields for line in lines if line.method == method and line.half == half]
            manifest.write_lines(manifest.lines_file(part, method=method, half=half), own)
    fields = {
        "format": FORMAT,
        "name": name,
        "sha256": manifest.content_sha256(part),
        "made_at": timezone.now().isoformat(),
        "filters": asdict(filters),
        "redaction_version": REDACTION_VERSION,
        "redacted": sum(sum(line.example.redactions.values()) for line in lines),
        "counts": {
            "method": _counts(lines, lambda line: f"{line.method}.{line.half}"),
            "source": _counts(lines, lambda line: line.example.source),
            "locale": _counts(lines, lambda line: line.example.locale),
            "topic": _counts(lines, lambda line: line.example.topic or "none"),
            "refusal": _counts(lines, lambda line: "refusal" if line.example.is_refusal else "answer"),
        },
        "left_out": left_out,
        "examples": len({line.example.pk for line in lines}),
    }
    manifest.write_manifest(part, fields)
    return fields


def _counts(lines: list[_Line], of: Any) -> dict[str, int]:
    return dict(sorted(Counter(of(line) for line in lines).items()))
