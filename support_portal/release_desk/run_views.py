"""Training runs: start one from a dataset, watch its curves, stop it, let it go on."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatbot.errors import ChatbotError, NotFound
from chatbot.learning import reading, retraining, tasks
from chatbot.learning import runs as run_store
from chatbot.learning.models import TrainingRun
from chatbot.staffing import audit
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires
from support_portal.release_desk import curves, words
from support_portal.release_desk.forms import CompareForm, RunForm

RUNS_SHOWN = 50


@requires("manage_releases")
@require_GET
def runs(request: HttpRequest) -> HttpResponse:
    context = {
        "section": "releases",
        "tab": "runs",
        "runs": reading.list_runs()[:RUNS_SHOWN],
        "tainted": retraining.tainted(),
        "by_itself": settings.RETRAIN_AFTER_ERASURE,
    }
    return render(request, "releases/runs.html", context)


@requires("manage_releases")
@require_http_methods(["GET", "POST"])
def start(request: HttpRequest) -> HttpResponse:
    form = RunForm(request.POST or None, initial={"dataset": request.GET.get("dataset", "")[:12]})
    if request.method == "POST" and form.is_valid():
        try:
            made = run_store.start(
                reading.access_dataset(int(form.cleaned_data["dataset"])),
                method=form.cleaned_data["method"],
                options=form.options(),
                by_id=cast(User, request.user).pk,
                enqueue=tasks.enqueue_run,
            )
        except ChatbotError as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            return redirect("releases:run", run_id=made.pk)
    context = {"section": "releases", "tab": "runs", "form": form, "has_datasets": reading.list_datasets().exists()}
    return render(request, "releases/run_start.html", context)


@requires("manage_releases")
@require_POST
def retrain(request: HttpRequest, *, version_id: int) -> HttpResponse:
    """Train a version anew without the examples that were erased since."""
    try:
        made = retraining.retrain(version_id, by_id=cast(User, request.user).pk, enqueue=tasks.enqueue_run)
    except NotFound as error:
        raise Http404(error.message) from error
    except ChatbotError as error:
        messages.error(request, f"Nothing was started: {error.message}")
        return redirect("releases:runs")
    return redirect("releases:run", run_id=made.pk)


@requires("manage_releases")
@require_GET
def run(request: HttpRequest, *, run_id: int) -> HttpResponse:
    found = _run(run_id)
    context = {
        "section": "releases",
        "tab": "runs",
        "compare_form": CompareForm(initial={"dataset": found.dataset_id}),
        "options": words.options(found.options),
    }
    return render(request, "releases/run.html", context | _progress(found))


@requires("manage_releases")
@require_GET
def progress(request: HttpRequest, *, run_id: int) -> JsonResponse:
    found = _run(run_id)
    html = render_to_string("releases/progress.html", _progress(found), request)
    return JsonResponse({"done": not found.is_active, "html": html})


@requires("manage_releases")
@require_POST
def stop(request: HttpRequest, *, run_id: int) -> HttpResponse:
    run_store.stop(_run(run_id), by_id=cast(User, request.user).pk)
    messages.success(request, "It stops after the step it is at. What it has learnt so far is kept.")
    return redirect("releases:run", run_id=run_id)


@requires("manage_releases")
@require_POST
def go_on(request: HttpRequest, *, run_id: int) -> HttpResponse:
    try:
        with transaction.atomic():
            run_store.resume(_run(run_id), enqueue=tasks.enqueue_run)
            audit.record(cast(User, request.user).pk, "training.resumed", f"run {run_id}")
    except ChatbotError as error:
        messages.error(request, f"Nothing was changed: {error.message}")
    return redirect("releases:run", run_id=run_id)


def _progress(found: TrainingRun) -> dict[str, Any]:
    said, lines = run_store.progress(found), run_store.curve(found)
    step, steps = int(said.get("step", 0)), int(said.get("steps", 0))
    budget_s = 60 * float(found.options.get("budget_minutes", 0) or 0)
    by_time = float(said.get("seconds", 0)) / budget_s if budget_s else 0.0
    done = max(step / steps if steps else 0.0, by_time)
    chart = curves.chart(lines, steps=steps if not found.is_active else 0)
    tuned = [line["eval_loss"] for line in lines if "eval_loss" in line]
    return {
        "run": found,
        "step": step,
        "steps": steps,
        "minutes": float(said.get("seconds", 0)) / 60,
        "memory_bytes": int(said.get("peak_memory_bytes", 0)),
        "percent": min(100, round(100 * done)),
        "chart": chart,
        "finding": _finding(tuned),
        "failure": words.failure(found.error, found.error_text) if found.error else "",
    }


def _finding(tuned: list[float]) -> str:
    """What the curve says, in a sentence."""
    if len(tuned) < 2:
        return "Loss: how far off its answers are, less is better"
    best = min(tuned)
    if tuned[-1] > best * 1.01:
        return f"The loss on unseen examples fell to {best:.3f} and rises again: the best state is kept"
    return f"The loss on unseen examples fell from {tuned[0]:.3f} to {tuned[-1]:.3f}"


def _run(run_id: int) -> TrainingRun:
    try:
        return run_store.access_run(run_id)
    except NotFound as error:
        raise Http404(error.message) from error
