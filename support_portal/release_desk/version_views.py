"""Versions of the model: what each is, how it compares with the live one, and its way to the customers and back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from chatbot.engine.requests import EngineError
from chatbot.errors import ChatbotError, NotFound
from chatbot.learning import canary, evaluating
from chatbot.learning import reading as learning_reading
from chatbot.quality.tasks import enqueue_comparison
from chatbot.releases import reading, stages
from chatbot.releases import versions as version_list
from chatbot.releases.models import Evaluation, ModelVersion
from chatbot.staffing import audit
from chatbot.training.failures import TrainingError
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires
from support_portal.release_desk import words
from support_portal.release_desk.forms import CompareForm, DeedForm

HISTORY = 12
# A comparison that has written nothing for so long has ended without a table.
SILENCE = timedelta(minutes=15)
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
    """Put a comparison with the live version in line. What can be told beforehand is told now."""
    found = _version(version_id)
    form = CompareForm(request.POST)
    before = reading.evaluations_of(found).values_list("pk", flat=True).first() or 0
    try:
        if not form.is_valid():
            raise NotFound("Choose a dataset first.")
        live = version_list.live_version()
        if live is None or live == found or live.root != found.root:
            raise NotFound("Only a version that is not live, on the same base weights as the live one, can be compared with it.")
        dataset = learning_reading.access_dataset(int(form.cleaned_data["dataset"]))
        evaluating.heldout(dataset)
        if not enqueue_comparison(found.pk, dataset.pk):
            raise NotFound("The queue cannot be reached just now. Try again in a moment.")
        with transaction.atomic():
            audit.record(cast(User, request.user).pk, "version.compared", f"version {found.name}", {"dataset": dataset.name})
    except (ChatbotError, TrainingError) as error:
        messages.error(request, f"Nothing was begun: {error}")
        return redirect("releases:version", version_id=version_id)
    return redirect(f"{reverse('releases:version', kwargs={'version_id': version_id})}?after={before}&begun={_now()}")


@requires("manage_releases")
@require_GET
def comparing(request: HttpRequest, *, version_id: int) -> JsonResponse:
    found = _version(version_id)
    awaited = _awaited(request, found)
    html = render_to_string("releases/comparing.html", {"awaited": awaited}, request)
    return JsonResponse({"done": not awaited or awaited["ended"], "html": html})


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
    live, awaited = version_list.live_version(), _awaited(request, found)
    evaluations = list(reading.evaluations_of(found)[:HISTORY])
    context = {
        "section": "releases",
        "tab": "versions",
        "version": found,
        "live": live,
        "form": form,
        "deed": deed,
        "compare_form": CompareForm(initial={"dataset": _own_dataset(found)}),
        "needs_reason": reading.needs_reason(found),
        "can_go": bool(live and live.root == found.root and not found.is_live and (found.base_id is None or found.folder)),
        "can_stage": found.base_id is not None,
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
        "both": learning_reading.answers_of_both(found) is not None,
        "gain": words.gain(found.verdict),
        "reasons": words.reasons(found.verdict),
        "figures": words.figure_rows(found.table),
        "slices": words.slice_rows(found.verdict),
        "plain": words.plain_row(found.verdict),
    }


def _awaited(request: HttpRequest, found: ModelVersion) -> dict[str, Any] | None:
    """How a comparison stands that was just begun (?after= the newest one then, ?begun= when); none when its table is there."""
    after, begun = request.GET.get("after", ""), request.GET.get("begun", "")
    if not (after.isdecimal() and begun.isdecimal() and len(after) < 18 and len(begun) < 12):
        return None
    if reading.evaluations_of(found).filter(pk__gt=int(after)).exists():
        return None
    live = version_list.live_version()
    written = learning_reading.written(found, live) if live else None
    fresh = written if written and written.last_at and written.last_at.timestamp() >= int(begun) else None
    heard_at = fresh.last_at.timestamp() if fresh and fresh.last_at else int(begun)
    percent = min(100, round(100 * fresh.done / fresh.total)) if fresh and fresh.total else 0
    ended = _now() - heard_at > SILENCE.total_seconds()
    poll = f"{reverse('releases:comparing', kwargs={'version_id': found.pk})}?after={after}&begun={begun}"
    return {"written": fresh, "percent": percent, "ended": ended, "poll": poll}


def _own_dataset(found: ModelVersion) -> int | None:
    """What it was trained from: its held-out half is what it is best measured by."""
    run = learning_reading.runs_of(found).first()
    return run.dataset_id if run else None


def _now() -> int:
    return int(timezone.now().timestamp())


def _version(version_id: int) -> ModelVersion:
    try:
        return reading.access_version(version_id)
    except NotFound as error:
        raise Http404(error.message) from error
