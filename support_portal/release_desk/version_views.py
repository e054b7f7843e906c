"""Versions of the model: what each is, how it compares with the live one, and its way to the customers and back."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from chatbot.engine.requests import EngineError
from chatbot.errors import ChatbotError, NotFound
from chatbot.learning import canary, compressing, evaluating
from chatbot.learning import reading as learning_reading
from chatbot.quality import light_parts
from chatbot.quality.tasks import enqueue_version_job
from chatbot.releases import jobs, merging, reading, stages
from chatbot.releases import versions as version_list
from chatbot.releases.models import Evaluation, Job, ModelVersion
from chatbot.training.failures import TrainingError
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires
from support_portal.release_desk import words
from support_portal.release_desk.forms import CompareForm, DeedForm

HISTORY = 12
DONE = {
    "shadow": "{name} answers in the shadow now. No customer sees it.",
    "canary": "{name} answers {percent} % of the conversations now. It is withdrawn by itself if it does worse.",
    "live": "{name} is live. The workers take it up within seconds.",
    "withdraw": "{name} is withdrawn. Its conversations go on with the live version.",
}


@requires("manage_releases")
@require_GET
def versions(request: HttpRequest) -> HttpResponse:
    rows = [(row, words.gain(row.evaluation.verdict) if row.evaluation else "") for row in reading.list_versions()]
    staged = {row.version.stage: row.version for row, _ in rows if row.version.stage}
    context = {
        "section": "releases",
        "tab": "versions",
        "rows": rows,
        "live": next((row.version for row, _ in rows if row.version.is_live), None),
        "shadow": staged.get(ModelVersion.Stage.SHADOW),
        "canary": staged.get(ModelVersion.Stage.CANARY),
        "standing": canary.standing(),
        "target": reading.rollback_target(),
        "history": reading.promotions()[:HISTORY],
    }
    return render(request, "releases/versions.html", context)


@requires("manage_releases")
@require_GET
def version(request: HttpRequest, *, version_id: int) -> HttpResponse:
    found = _version(version_id)
    return _version_page(request, found, form=DeedForm(initial={"percent": found.canary_percent or 5}))


@requires("manage_releases")
@require_POST
def do(request: HttpRequest, *, version_id: int, deed: str) -> HttpResponse:
    """Take one step with a version. Where the gate stands in the way, the page comes again with its reasons."""
    found = _version(version_id)
    if deed not in DONE:
        raise Http404("There is no such step.")
    form = DeedForm(request.POST)
    if deed == "canary" and not form.data.get("percent"):
        form.add_error("percent", "Say how many percent of the conversations.")
    if form.is_valid():
        try:
            _step(found, deed=deed, form=form, by=cast(User, request.user))
        except (ChatbotError, EngineError) as error:
            form.add_error(None, f"Nothing was changed: {error}")
        else:
            percent = form.cleaned_data["percent"]
            messages.success(request, DONE[deed].format(name=found.name, percent=percent))
            return redirect("releases:version", version_id=found.pk)
    return _version_page(request, found, form=form, deed=deed)


def _step(version: ModelVersion, *, deed: str, form: DeedForm, by: User) -> None:
    reason = form.cleaned_data["reason"]
    if deed == "shadow":
        stages.to_shadow(version.name, by=by)
    elif deed == "canary":
        stages.to_canary(version.name, percent=form.cleaned_data["percent"] or 0, by=by, reason=reason)
    elif deed == "live":
        stages.to_live(version.name, by=by, reason=reason)
    else:
        stages.withdraw(version.name, by=by, reason=reason)


@requires("manage_releases")
@require_POST
def roll_back(request: HttpRequest) -> HttpResponse:
    form = DeedForm(request.POST)
    reason = form.cleaned_data["reason"] if form.is_valid() else ""
    try:
        brought = stages.roll_back(by=cast(User, request.user), reason=reason)
    except (ChatbotError, EngineError) as error:
        messages.error(request, f"Nothing was changed: {error}")
    else:
        messages.success(request, f"{brought} answers again. The workers take it up within seconds.")
    return redirect("releases:versions")


@requires("manage_releases")
@require_POST
def compare(request: HttpRequest, *, version_id: int) -> HttpResponse:
    """Put a comparison with the live version in line; merged weights are held against the adapter they were made of."""
    return _asked(request, _version(version_id), Job.Kind.COMPARE)


@requires("manage_releases")
@require_POST
def merge(request: HttpRequest, *, version_id: int) -> HttpResponse:
    """Put the merging of an adapter into its base weights in line, and what both answer to a dataset's questions."""
    return _asked(request, _version(version_id), Job.Kind.MERGE)


def _asked(request: HttpRequest, found: ModelVersion, kind: Job.Kind) -> HttpResponse:
    """What can be told beforehand is told now."""
    form = CompareForm(request.POST)
    try:
        dataset = ""
        if form.is_valid():
            chosen = learning_reading.access_dataset(int(form.cleaned_data["dataset"]))
            evaluating.heldout(chosen)
            dataset = chosen.name
        elif kind == Job.Kind.COMPARE or request.POST.get("dataset"):
            raise NotFound("Choose a dataset first.")
        _refuse(found, kind)
        jobs.ask(kind, found, dataset=dataset, by=cast(User, request.user), enqueue=enqueue_version_job)
    except (ChatbotError, EngineError, TrainingError) as error:
        messages.error(request, f"Nothing was begun: {error}")
    return redirect("releases:version", version_id=found.pk)


def _refuse(found: ModelVersion, kind: Job.Kind) -> None:
    """Raises ChatbotError, EngineError."""
    live = version_list.live_version()
    if kind == Job.Kind.MERGE:
        merging.refuse_unmergeable(found)
    elif found.merged_from:
        compressing.adapter_of(found)
    elif live is None or live == found or live.root != found.root:
        raise NotFound("Only a version that is not live, on the same base weights as the live one, can be compared with it.")


@requires("manage_releases")
@require_GET
def comparing(request: HttpRequest, *, version_id: int) -> JsonResponse:
    found = _version(version_id)
    awaited = _awaited(found)
    html = render_to_string("releases/comparing.html", {"awaited": awaited, "version": found}, request)
    return JsonResponse({"done": not awaited or awaited["failure"] != "", "html": html})


@requires("manage_releases")
@require_GET
def comparison(request: HttpRequest, *, evaluation_id: int) -> HttpResponse:
    try:
        found = reading.access_evaluation(evaluation_id)
    except NotFound as error:
        raise Http404(error.message) from error
    context = {"section": "releases", "tab": "versions", **_evaluation(found)}
    return render(request, "releases/comparison.html", context)


def _version_page(request: HttpRequest, found: ModelVersion, *, form: DeedForm, deed: str = "") -> HttpResponse:
    live, awaited = version_list.live_version(), _awaited(found)
    evaluations = list(reading.evaluations_of(found)[:HISTORY])
    context = {
        "section": "releases",
        "tab": "versions",
        "version": found,
        "live": live,
        "target": reading.rollback_target() if found.is_live else None,
        "form": form,
        "deed": deed,
        "compare_form": CompareForm(initial={"dataset": _own_dataset(found)}),
        "own_dataset": str(_own_dataset(found) or ""),
        "needs_reason": reading.needs_reason(found),
        "can_go": bool(live and live.root == found.root and not found.is_live and (found.base_id is None or found.folder)),
        "can_stage": found.base_id is not None,
        "merged": merging.merged_of(found) if found.base_id else None,
        "adapter": reading.adapter_of(found),
        "light": light_parts.in_words(found.lineage["light"]) if "light" in found.lineage else "",
        "awaited": awaited,
        "evaluations": [(one, words.gain(one.verdict)) for one in evaluations],
        "runs": learning_reading.runs_of(found),
        "history": reading.promotions(found)[:HISTORY],
        "standing": canary.standing() if found.stage == ModelVersion.Stage.CANARY else None,
    }
    newest = _evaluation(evaluations[0]) if evaluations else {}
    return render(request, "releases/version.html", context | newest, status=400 if form.errors else 200)


def _evaluation(found: Evaluation) -> dict[str, Any]:
    return {
        "evaluation": found,
        "compression": words.compression(found.table),
        "both": learning_reading.answers_of_both(found) is not None,
        "gain": words.gain(found.verdict),
        "reasons": words.reasons(found.verdict),
        "figures": words.figure_rows(found.table),
        "slices": words.slice_rows(found.verdict),
        "plain": words.plain_row(found.verdict),
    }


def _awaited(found: ModelVersion) -> dict[str, Any] | None:
    """How the newest job stands, while it is under way or when it has failed; none when what was asked for is there."""
    job = jobs.newest(found)
    if job is None or job.status == Job.Status.DONE:
        return None
    poll = reverse("releases:comparing", kwargs={"version_id": found.pk})
    awaited: dict[str, Any] = {"job": job, "poll": poll, "written": None, "percent": 0, "failure": "", "advice": ""}
    if not job.is_active:
        failure, advice = words.job_failure(job.error, job.error_text)
        return awaited | {"failure": failure, "advice": advice}
    pair = _pair(found, job)
    written = learning_reading.written(*pair) if pair else None
    fresh = written if written and written.last_at and job.began_at and written.last_at >= job.began_at else None
    percent = min(100, round(100 * fresh.done / fresh.total)) if fresh and fresh.total else 0
    return awaited | {"written": fresh, "percent": percent}


def _pair(found: ModelVersion, job: Job) -> tuple[ModelVersion, ModelVersion] | None:
    """Who answers the questions of a job; none before merged weights are there."""
    if job.kind == Job.Kind.COMPARE and not found.merged_from:
        other = version_list.live_version()
        return (found, other) if other else None
    merged = found if found.merged_from else merging.merged_of(found)
    return (merged, reading.adapter_of(merged) or found) if merged else None


def _own_dataset(found: ModelVersion) -> int | None:
    """What it was trained from: its held-out half is what it is best measured by."""
    dataset = learning_reading.dataset_of(found)
    return dataset.pk if dataset else None


def _version(version_id: int) -> ModelVersion:
    try:
        return reading.access_version(version_id)
    except NotFound as error:
        raise Http404(error.message) from error
