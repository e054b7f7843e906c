"""What people prefer when they see two versions' answers side by side without knowing whose is which.

Votes stand beside the answers they are about, a line each; of a person's votes on one question the last counts.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from chatbot.errors import InvalidInput, NotFound
from chatbot.learning import reading
from chatbot.releases.models import Evaluation
from chatbot.staffing import audit
from chatbot.training import manifest

CHOICES = ("left", "right", "same")
Z95 = 1.96


@dataclass(frozen=True)
class Pairing:
    """One question with both answers in blind order. key: the question's; known: what the models could know."""

    key: str
    question: str
    language: str
    known: str
    left: str
    right: str


@dataclass(frozen=True)
class Tally:
    """share: of the votes that prefer one, those for the candidate; lower95 and upper95: its Wilson interval."""

    candidate: int
    live: int
    same: int
    share: float
    lower95: float
    upper95: float


def next_pairing(evaluation: Evaluation, *, person_id: int) -> tuple[Pairing | None, int]:
    """A question this person has not judged, and how many of those are left. Equal answers are nobody's to judge.

    Raises NotFound when the answers are not here any more.
    """
    folder, answers = _answers(evaluation)
    judged = {vote["id"] for vote in _votes(folder, evaluation) if vote["by"] == person_id}
    left = [key for key, both in answers.items() if both["before"] != both["after"] and key not in judged]
    if not left:
        return None, 0
    key = min(left, key=lambda one: _hash(f"{person_id}:{one}"))
    return _pairing(key, answers[key], evaluation=evaluation, person_id=person_id), len(left)


def vote(evaluation: Evaluation, *, key: str, choice: str, person_id: int) -> None:
    """Raises InvalidInput, NotFound."""
    folder, answers = _answers(evaluation)
    if key not in answers or choice not in CHOICES:
        raise InvalidInput("Choose the left answer, the right one or neither.", field="choice")
    swapped = _is_swapped(evaluation, key=key, person_id=person_id)
    preferred = choice if choice == "same" else "after" if (choice == "left") == swapped else "before"
    line = {
        "id": key,
        "version": evaluation.version.name,
        "against": evaluation.against.name,
        "preferred": preferred,
        "by": person_id,
        "at": timezone.now().isoformat(),
    }
    with transaction.atomic():
        audit.record(person_id, "preference.given", f"version {evaluation.version.name}", {"comparison": evaluation.pk})
        with _file(folder).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def tally(evaluation: Evaluation) -> Tally:
    """All people's votes. Raises NotFound."""
    folder, _ = _answers(evaluation)
    last = {(vote["by"], vote["id"]): vote["preferred"] for vote in _votes(folder, evaluation)}
    votes = list(last.values())
    candidate, live = votes.count("after"), votes.count("before")
    return Tally(candidate, live, votes.count("same"), *_wilson(candidate, candidate + live))


def _answers(evaluation: Evaluation) -> tuple[Path, dict[str, dict[str, str]]]:
    found = reading.answers_of_both(evaluation)
    if found is None:
        raise NotFound("The answers of these two versions are not kept here any more.", code="answers_gone")
    return found


def _votes(folder: Path, evaluation: Evaluation) -> list[dict[str, str | int]]:
    names = evaluation.version.name, evaluation.against.name
    return [line for line in manifest.lines_so_far(_file(folder)) if (line["version"], line["against"]) == names]


def _file(folder: Path) -> Path:
    return folder / "preferences.jsonl"


def _pairing(key: str, both: dict[str, str], *, evaluation: Evaluation, person_id: int) -> Pairing:
    left, right = both["before"], both["after"]
    if _is_swapped(evaluation, key=key, person_id=person_id):
        left, right = right, left
    return Pairing(key, both["question"], both["language"], both["known"], left, right)


def _is_swapped(evaluation: Evaluation, *, key: str, person_id: int) -> bool:
    """Whether the candidate's answer stands on the left: by hash, so that a page loaded again shows the same order."""
    return _hash(f"order:{evaluation.pk}:{person_id}:{key}") % 2 == 1


def _hash(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)


def _wilson(count: int, of: int) -> tuple[float, float, float]:
    if not of:
        return 0.0, 0.0, 1.0
    share, square = count / of, Z95**2
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = Z95 * math.sqrt(share * (1 - share) / of + square / (4 * of**2)) / (1 + square / of)
    return share, max(0.0, middle - half), min(1.0, middle + half)
