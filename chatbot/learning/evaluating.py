"""Hold a candidate against the live version: the same frozen questions to both, judged alike, and a verdict of the gate.

Answers are kept by version and questions, so the live version writes them once for all its candidates.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from chatbot import runtime
from chatbot.company import Company
from chatbot.errors import Conflict, InvalidInput
from chatbot.knowledge.access import answering_faqs
from chatbot.learning import datasets, gate
from chatbot.learning.gate import Pair, Verdict
from chatbot.learning.judging import Judged, judge
from chatbot.learning.models import Dataset, DatasetLine
from chatbot.releases import versions
from chatbot.releases.models import Evaluation, ModelVersion
from chatbot.telemetry import log_event
from chatbot.training import manifest
from chatbot.training.failures import TrainingError

FOLDER = "evaluations"
PLAIN_FILE = Path(__file__).with_name("plain_tasks.jsonl")
# Real people's judgement; answers made from FAQs alone are easy, and would hide a loss.
MEASURED_SOURCES = ("correction", "edited_draft", "reviewed")
# A language with this share of the published FAQs is one that customers are answered in.
SERVED_SHARE = 0.1
# Signs that somebody writes feedback to teach what he wants.
PLANTED_FLAGS = ("burst", "strange_word")
MAX_NEW_TOKENS = 96
PLAIN_NEW_TOKENS = 32
NICENESS = 19
# Approved answers whose loss is read: a thousand tokens say enough, and each answer costs two cores two seconds for each version.
MOST_LOSSES = 40
Answers = dict[str, dict[str, Any]]
Line = Mapping[str, Any]


@dataclass(frozen=True)
class Regression:
    """A question that must go on being answered right. right: judges a written answer."""

    id: str
    messages: list[dict[str, str]]
    right: Callable[[str], bool]


@dataclass(frozen=True)
class Measured:
    """What both versions wrote and how it was judged."""

    lines: Sequence[Line]
    before: dict[str, Judged] = field(default_factory=dict)
    after: dict[str, Judged] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """What it gave. answers: both versions', to the regression questions and plain tasks too; figures: their table."""

    prompts: Path
    answers: tuple[Answers, ...]
    figures: dict[str, Any]
    verdict: Verdict


def evaluate(
    version: ModelVersion,
    dataset: Dataset,
    *,
    regression: Sequence[Regression],
    most: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Let the live version and this one answer the held-out half, and store the table.

    Raises InvalidInput, Conflict, TrainingError.

    most: so many held-out questions at most, always the same ones; 0 for all.
    """
    live = versions.live_version()
    if live is None or live == version or live.root != version.root:
        raise Conflict("The version to compare with must be live on the same base weights.", code="adapter_wrong_base")
    begun = time.monotonic()
    compared = ask_both(live, version, dataset, regression=regression, most=most, progress=progress)
    return store(version, live, dataset, compared, seconds=time.monotonic() - begun)


def ask_both(
    before: ModelVersion,
    after: ModelVersion,
    dataset: Dataset,
    *,
    regression: Sequence[Regression],
    most: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Let two versions answer the same questions, and judge them alike. Raises InvalidInput, TrainingError."""
    lines = heldout(dataset, most=most)
    folder, prompts = _prompts(lines, regression)
    found: list[Answers] = []
    for one in (before, after):
        progress(one.name)
        found.append(answers_of(one, prompts, folder=folder))
    company = runtime.company()
    measured = Measured(lines, *({line["id"]: _judged(a, line, company) for line in lines} for a in found))
    verdict = _verdict(measured, found, regression, trained_on=frozenset(after.trained_on))
    losses = [manifest.lines_so_far(_losses_file(folder, one)) for one in (before, after)]
    return Comparison(prompts, tuple(found), table(measured, found, losses=losses), verdict)


def heldout(dataset: Dataset, *, most: int = 0) -> list[dict[str, Any]]:
    lines = manifest.read_lines(datasets.folder_of(dataset), method="sft", half="heldout")
    own = [line for line in lines if line["source"] in MEASURED_SOURCES]
    if not own:
        raise InvalidInput("The held-out half has no corrected or reviewed answer to measure by.", code="nothing_to_measure")
    own.sort(key=lambda line: str(line["id"]))
    return own[:most] if most else own


@cache
def plain_tasks() -> tuple[dict[str, str], ...]:
    return tuple(json.loads(line) for line in PLAIN_FILE.read_text(encoding="utf-8").splitlines())


def answers_of(version: ModelVersion, prompts: Path, *, folder: Path) -> Answers:
    """Let a version answer a file of prompts in a process of its own; what it has answered already is read."""
    out, losses = folder / f"{version.name}.jsonl", _losses_file(folder, version)
    losses.parent.mkdir(parents=True, exist_ok=True)
    parts = ["nice", "-n", str(NICENESS), sys.executable, "-m", "chatbot.training.evaluate"]
    parts += ["--model", version.root.folder, "--prompts", str(prompts), "--out", str(out)]
    parts += ["--losses", str(losses)]
    if version.base_id is not None:
        parts += ["--adapter", str(versions.verify_files(version))]
    done = subprocess.run(parts, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=dict(os.environ))
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        code = re.search(r"\[([a-z0-9_]+)\]$", last)
        why = "killed" if done.returncode < 0 else code[1] if code else "evaluation_failed"
        raise TrainingError(why, f"The answers of {version} could not be written: {last[-300:]}")
    return {line["id"]: line for line in map(json.loads, out.read_text(encoding="utf-8").splitlines())}


def table(measured: Measured, found: Sequence[Answers], *, losses: Sequence[Sequence[Line]] = ((), ())) -> dict[str, Any]:
    """The figures of both versions.

    refusals_wanted: of the questions nobody can answer, how many were refused; refusals_right: of the refused, how many rightly.
    loss: of a token of the approved answers, over those that both versions have read; there is none without them.
    """
    both = {line["id"] for line in losses[0]} & {line["id"] for line in losses[1]} & {line["id"] for line in measured.lines}
    before, after = ([line for line in own if line["id"] in both] for own in losses)
    return {
        "questions": len(measured.lines),
        "before": _figures(list(measured.before.values()), found[0]) | _mean_loss(before),
        "after": _figures(list(measured.after.values()), found[1]) | _mean_loss(after),
    }


def _mean_loss(losses: Sequence[Line]) -> dict[str, float]:
    tokens = sum(line["tokens"] for line in losses)
    return {"loss": round(sum(line["loss"] for line in losses) / tokens, 4)} if tokens else {}


def _losses_file(folder: Path, version: ModelVersion) -> Path:
    """In a folder of its own: beside it, a version could have this name."""
    return folder / "losses" / f"{version.name}.jsonl"


def _figures(judged: Sequence[Judged], answers: Answers) -> dict[str, float]:
    answerable = [one for one in judged if not one.should_refuse]
    refusable = [one for one in judged if one.should_refuse]
    refused = [one for one in judged if one.refused]
    written = [one for one in judged if not one.refused]
    tokens = sum(answer["tokens"] for answer in answers.values())
    ms = [answer["ms"] for answer in answers.values()]
    return {
        "right": _share([one.right for one in judged]),
        "answers_right": _share([one.right for one in answerable]),
        "refusals_wanted": _share([one.refused for one in refusable]),
        "refusals_right": _share([one.should_refuse for one in refused]),
        "grounded": _share([one.grounded for one in written]),
        "language": _share([one.language for one in judged]),
        "style": _share([one.style for one in judged]),
        "chars": round(sum(one.chars for one in written) / max(1, len(written)), 1),
        "tokens": tokens,
        "median_ms": sorted(ms)[len(ms) // 2] if ms else 0,
    }


def _prompts(lines: Sequence[Line], regression: Sequence[Regression]) -> tuple[Path, Path]:
    rows = [{"id": line["id"], "messages": line["prompt"], "max_new_tokens": MAX_NEW_TOKENS} for line in lines]
    for row, line in zip(rows[:MOST_LOSSES], lines, strict=False):
        row["completion"] = line["completion"]
    rows += [{"id": one.id, "messages": one.messages, "max_new_tokens": MAX_NEW_TOKENS} for one in regression]
    rows += [
        {"id": task["id"], "messages": [{"role": "user", "content": task["text"]}], "max_new_tokens": PLAIN_NEW_TOKENS}
        for task in plain_tasks()
    ]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    folder = Path(settings.DATA_DIR) / FOLDER / hashlib.sha256(text.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "prompts.jsonl"
    path.write_text(text, encoding="utf-8")
    return folder, path


def _judged(answers: Answers, line: Line, company: Company) -> Judged:
    return judge(answers[line["id"]]["text"], line, company=company)


def _verdict(
    measured: Measured, found: Sequence[Answers], regression: Sequence[Regression], *, trained_on: frozenset[str]
) -> Verdict:
    pairs = [
        Pair(
            line["id"],
            float(measured.before[line["id"]].right),
            float(measured.after[line["id"]].right),
            line["locale"],
            line["topic"],
        )
        for line in measured.lines
    ]
    plain = [Pair(task["id"], _accepted(task, found[0]), _accepted(task, found[1]), task["locale"]) for task in plain_tasks()]
    broken = [one.id for one in regression if one.right(found[0][one.id]["text"]) and not one.right(found[1][one.id]["text"])]
    return gate.decide(
        pairs,
        plain=plain,
        broken=broken,
        trained_on=trained_on,
        served=served_languages(),
        suspected=suspected_of(trained_on),
    )


def suspected_of(trained_on: frozenset[str]) -> int:
    """How many examples of a training half look planted by now: what was approved early may have been the first of many."""
    own = DatasetLine.objects.filter(sha256__in=trained_on, half="train", example__flags__overlap=list(PLANTED_FLAGS))
    return own.values("example").distinct().count()


def served_languages() -> list[str]:
    """The locales that a fair share of the published FAQs is in."""
    counts = Counter(answering_faqs().values_list("locale", flat=True))
    return sorted(locale for locale, count in counts.items() if count >= SERVED_SHARE * counts.total())


def _accepted(task: Mapping[str, str], answers: Answers) -> float:
    return float(bool(re.search(task["accept"], answers[task["id"]]["text"], re.I)))


def store(version: ModelVersion, against: ModelVersion, dataset: Dataset, compared: Comparison, *, seconds: float) -> Evaluation:
    with transaction.atomic():
        stored = Evaluation.objects.create(
            version=version,
            against=against,
            dataset=dataset.name,
            data_sha256=dataset.sha256,
            table=compared.figures,
            verdict=compared.verdict.as_json(),
            passed=compared.verdict.passed,
            seconds=round(seconds, 1),
        )
    log_event(
        "evaluation.ended",
        version=version.name,
        against=against.name,
        questions=compared.verdict.questions,
        passed=int(compared.verdict.passed),
        total_ms=seconds * 1000,
    )
    return stored


def _share(values: Sequence[bool]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0
