"""Training runs: start one, watch it, stop it, take what came out of it into the list of versions.

The row says what is wanted, the process in the run's folder does it. A worker that dies leaves the folder as it is; whoever
takes the run over starts the same command again, which goes on from the last whole checkpoint.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from chatbot.engine.requests import EngineError
from chatbot.errors import ChatbotError, Conflict, InvalidInput, NotFound
from chatbot.learning import datasets
from chatbot.learning.models import Dataset, TrainingRun
from chatbot.releases import lineage, versions
from chatbot.releases.models import ModelVersion
from chatbot.staffing import audit
from chatbot.telemetry import log_event
from chatbot.training import manifest
from chatbot.training.manifest import PARENT_VARIABLE

FOLDER = "runs"
# A worker says every BEAT_S that it has the run; after SILENCE_S without a word another may take it.
BEAT_S = 3.0
SILENCE_S = 30
# Serving comes first: whatever a training run takes, it takes at the lowest priority.
NICENESS = 19
KILL_AFTER_S = 120.0
# What a run may be told from a form or a command, with its type: the names of chatbot.training.options.
OPTIONS: dict[str, type] = {
    "learning_rate": float,
    "epochs": float,
    "max_steps": int,
    "batch": int,
    "accumulate": int,
    "max_tokens": int,
    "rank": int,
    "alpha": int,
    "dropout": float,
    "upper_share": float,
    "evaluate_every": int,
    "save_every": int,
    "patience": int,
    "seed": int,
    "budget_minutes": float,
    "dtype": str,
    "device": str,
    "threads": int,
    "beta": float,
}


def start(
    dataset: Dataset,
    *,
    method: str = "sft",
    options: dict[str, Any] | None = None,
    by_id: int | None = None,
    enqueue: Any = None,
    retrains: ModelVersion | None = None,
) -> TrainingRun:
    """Put a run in line. enqueue: what hands its id to a worker after the commit; without it one comes by within a minute.

    Raises InvalidInput, Conflict.
    """
    if method not in TrainingRun.Method.values:
        raise InvalidInput("There is no such way of training.", field="method")
    live = versions.live_version()
    if live is None or not live.root.folder:
        raise Conflict("No base weights of this machine are known; start the generation worker once first.", code="no_base")
    with transaction.atomic():
        run = TrainingRun.objects.create(
            dataset=dataset,
            method=method,
            base=live.root,
            options=_clean(options or {}),
            folder="",
            created_by_id=by_id,
            retrains=retrains,
        )
        run.folder = f"{FOLDER}/{run.pk}"
        run.save(update_fields=["folder"])
        anew = {"retrains": retrains.name} if retrains else {}
        audit.record(by_id, "training.started", f"run {run.pk}", {"dataset": dataset.name, "method": method, **anew})
        if enqueue:
            transaction.on_commit(functools.partial(enqueue, run.pk))
    return run


def _clean(options: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise InvalidInput(f"A run knows no option {', '.join(unknown)}.", field="options")
    try:
        return {name: OPTIONS[name](value) for name, value in options.items()}
    except (TypeError, ValueError) as error:
        raise InvalidInput("An option has a value that is no number.", field="options") from error


def folder_of(run: TrainingRun) -> Path:
    return Path(settings.DATA_DIR) / run.folder


def access_run(run_id: int) -> TrainingRun:
    """The caller has checked the right. Raises NotFound."""
    run = TrainingRun.objects.select_related("dataset", "base", "version", "retrains", "created_by").filter(pk=run_id).first()
    if run is None:
        raise NotFound("This training run does not exist.", code="run_not_found")
    return run


def stop(run: TrainingRun, *, by_id: int | None = None) -> None:
    """Ask a run to end; its checkpoint stays, and `resume` goes on from it. One that waits ends at once."""
    with transaction.atomic():
        TrainingRun.objects.filter(pk=run.pk, status__in=["waiting", "running"]).update(stop_requested=True)
        TrainingRun.objects.filter(pk=run.pk, status="waiting").update(status=TrainingRun.Status.STOPPED, finished_at=Now())
        audit.record(by_id, "training.stopped", f"run {run.pk}", {})


def resume(run: TrainingRun, *, enqueue: Any = None) -> None:
    """Let a stopped or failed run go on where it was. Raises Conflict for one that is done or under way."""
    try:
        with transaction.atomic():
            changed = TrainingRun.objects.filter(pk=run.pk, status__in=["stopped", "failed"]).update(
                status=TrainingRun.Status.WAITING, stop_requested=False, error="", error_text="", finished_at=None, beat_at=None
            )
            if not changed:
                raise Conflict("This run is done or under way.", code="run_not_stopped")
            if enqueue:
                transaction.on_commit(functools.partial(enqueue, run.pk))
    except IntegrityError as error:
        raise Conflict("Another run makes the same version anew already.", code="retraining_under_way") from error


def curve(run: TrainingRun) -> list[dict[str, Any]]:
    """The lines of the run's metrics so far."""
    return manifest.lines_so_far(folder_of(run) / "metrics.jsonl")


def progress(run: TrainingRun) -> dict[str, Any]:
    """step, steps, seconds and memory as the process last said."""
    try:
        found: dict[str, Any] = json.loads((folder_of(run) / "state.json").read_text())
        return found
    except (OSError, ValueError):
        return {}


def orphans() -> list[int]:
    """Runs that wait, or whose worker has fallen silent."""
    late = timezone.now() - timedelta(seconds=SILENCE_S)
    rows = TrainingRun.objects.filter(Q(status="waiting") | Q(status="running", beat_at__lt=late))
    return list(rows.order_by("pk").values_list("pk", flat=True))


def execute(run_id: int) -> None:
    """Do a run, if nobody else does it. Called by a worker; returns when the run has ended or belongs to another."""
    run = _claim(run_id)
    if run is None:
        return
    begun = time.monotonic()
    folder = folder_of(run)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stop").unlink(missing_ok=True)
    result = _trained(run, folder)
    if result is None:  # another worker has taken it over
        return
    _end(run, result, seconds=time.monotonic() - begun)


def _claim(run_id: int) -> TrainingRun | None:
    late = timezone.now() - timedelta(seconds=SILENCE_S)
    # One that was killed without a worker to take it over must not stand in everybody's way; it can be resumed.
    silent = TrainingRun.objects.filter(status="running", beat_at__lt=late).exclude(pk=run_id)
    silent.update(status=TrainingRun.Status.STOPPED, finished_at=Now())
    try:
        with transaction.atomic():
            won = TrainingRun.objects.filter(
                Q(status="waiting", stop_requested=False) | Q(status="running", beat_at__lt=late), pk=run_id
            ).update(status=TrainingRun.Status.RUNNING, beat_at=Now(), started_at=Now())
    except IntegrityError:  # another run is under way: orphans() hands this one over later
        return None
    return access_run(run_id) if won else None


def command(run: TrainingRun) -> list[str]:
    """What trains, as one could type it."""
    module = "sft" if run.method == "sft" else "preference"
    parts = [sys.executable, "-m", f"chatbot.training.{module}"]
    parts += ["--method", run.method] if module == "preference" else []
    parts += ["--model", run.base.folder, "--data", str(datasets.folder_of(run.dataset)), "--out", str(folder_of(run))]
    for name, value in run.options.items():
        parts += [f"--{name.replace('_', '-')}", str(value)]
    return parts


def _trained(run: TrainingRun, folder: Path) -> dict[str, Any] | None:
    """Let the process do its work while we say that it lives and pass a stop on to it."""
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            _nice(command(run)),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", PARENT_VARIABLE: str(os.getpid())},
        )
    asked_at = 0.0
    try:
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=BEAT_S)
            mine = TrainingRun.objects.filter(pk=run.pk, status="running")
            if not mine.update(beat_at=Now()):
                return None
            if not asked_at and mine.filter(stop_requested=True).exists():
                process.send_signal(signal.SIGTERM)
                asked_at = time.monotonic()
            if asked_at and time.monotonic() - asked_at > KILL_AFTER_S:
                process.kill()
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    return _result(folder, code=process.returncode)


def _nice(parts: Sequence[str]) -> list[str]:
    return ["nice", "-n", str(NICENESS), *parts]


def _result(folder: Path, *, code: int) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / "result.json").read_text())
        return found
    except (OSError, ValueError):
        killed = code < 0
        text = "The training process was killed, perhaps for want of memory." if killed else _last_line(folder / "log.txt")
        return {"status": "failed", "error": "killed" if killed else "crashed", "text": text}


def _end(run: TrainingRun, result: dict[str, Any], *, seconds: float) -> None:
    status = result["status"]
    fields: dict[str, Any] = {"result": result, "finished_at": Now(), "error": "", "error_text": ""}
    if status == "failed":
        fields |= {"error": str(result["error"])[:40], "error_text": str(result.get("text", ""))[:500]}
    elif status == "done":
        try:
            fields["version"] = take_version(run, result)
        except (EngineError, ChatbotError) as error:
            status = "failed"
            fields |= {"error": error.code[:40], "error_text": str(error)[:500]}
    TrainingRun.objects.filter(pk=run.pk, status="running").update(status=status, **fields)
    log_event("training.ended", run=run.pk, method=run.method, status=status, code=fields["error"], total_ms=seconds * 1000)


def take_version(run: TrainingRun, result: dict[str, Any]) -> Any:
    """List the trained adapter, with where it came from. It answers nobody before a promotion."""
    live = versions.live_version()
    if live is None or live.root != run.base:
        told = f"Other base weights run by now than {run.base}, which this adapter belongs to. Go on when those run again."
        raise Conflict(told, code="adapter_wrong_base")
    folder = folder_of(run)
    name = f"{run.dataset.name}-{run.method}-{run.pk}"[:60]
    with transaction.atomic():  # listed with what it was trained on, or not at all
        version = versions.add_adapter(folder / "adapter", name=name, added_by=run.created_by)
        described = json.loads((folder / "manifest.json").read_text())
        origin = {
            "run": run.pk,
            "method": run.method,
            "dataset": run.dataset.name,
            "dataset_sha256": run.dataset.sha256,
            "options": described["options"],
            "versions": described["versions"],
            "examples": described["train"],
            "result": result,
        }
        lineage.describe(version, origin, trained_on=described["trained_on"])
    return version


def _last_line(path: Path) -> str:
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()] if path.exists() else []
    return lines[-1][-400:] if lines else "The training process ended without a word."
