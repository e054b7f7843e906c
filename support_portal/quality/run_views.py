"""Runs over many questions: start one, watch it, compare it with an earlier one; and what a change would do."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Case, When
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatbot.errors import ChatbotError, NotFound
from chatbot.quality import changing, comparing, running, starting
from chatbot.quality.models import QuestionResult, QuestionRun
from chatbot.quality.outcomes import counts
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires
from support_portal.quality.forms import ChangeForm

PAGE_RESULTS = 50
RUNS_SHOWN = 10
VERDICTS = {
    "right": "Answered right",
    "refused_right": "Refused right",
    "asked_back": "Asked back",
    "refused": "Refused, though a FAQ answers",
    "wrong": "Wrong",
    "unjudged": "Nothing expected",
}
# What somebody has to do something about stands above what is right.
_ORDER = ("wrong", "refused", "asked_back", "unjudged", "refused_right", "right")
_WORST_FIRST = Case(*(When(verdict=verdict, then=place) for place, verdict in enumerate(_ORDER)), default=len(_ORDER))

FAILURES = {
    "engine_busy": "The model had too much to do for customers. Go on later.",
    "queue_long": "The model had too much to do for customers. Go on later.",
    "engine_stopped": "The worker's model stopped. Go on when it runs again.",
    "unknown_version": "The version was taken away while it was writing.",
    "version_gone": "The files of this version are not here any more. Add the adapter again.",
    "model_not_fetched": "No model is here yet: `manage.py fetchmodel` brings it.",
}


@requires("check_answers")
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    try:
        made = starting.start_suite(author=cast(User, request.user))
    except ChatbotError as error:
        messages.error(request, error.message)
        return redirect("quality:questions")
    return redirect("quality:run", run_id=made.pk)


@requires("check_answers")
@require_http_methods(["GET", "POST"])
def changes(request: HttpRequest) -> HttpResponse:
    wanted = {name: request.GET[name] for name in ("draft", "version") if name in request.GET}
    form = ChangeForm(request.POST or None, initial=wanted)
    if request.method == "POST" and form.is_valid():
        try:
            made = starting.start_what_if(
                author=cast(User, request.user),
                faq_id=int(form.cleaned_data["draft"]) if form.cleaned_data["draft"] else None,
                thresholds=form.thresholds(),
                version=form.cleaned_data["version"],
                instructions=form.cleaned_data["instructions"],
                messages=form.cleaned_data["messages"],
                answers=form.cleaned_data["answers"] or starting.ANSWERS_AT_ONCE,
            )
            return redirect("quality:run", run_id=made.pk)
        except ChatbotError as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
    earlier = QuestionRun.objects.filter(kind=QuestionRun.Kind.WHAT_IF).select_related("faq")[:RUNS_SHOWN]
    context = {"section": "quality", "tab": "changes", "form": form, "runs": earlier}
    return render(request, "quality/changes.html", context)


@requires("check_answers")
@require_GET
def run(request: HttpRequest, *, run_id: UUID) -> HttpResponse:
    found = _run(run_id)
    context = {"section": "quality", "tab": "questions" if found.kind == "suite" else "changes", **_progress(found)}
    context |= _what_if(request, found) if found.kind == QuestionRun.Kind.WHAT_IF else _suite(request, found)
    return render(request, f"quality/run_{found.kind}.html", context)


@requires("check_answers")
@require_GET
def progress(request: HttpRequest, *, run_id: UUID) -> JsonResponse:
    found = _run(run_id)
    return JsonResponse(
        {"done": not found.is_active, "html": render_to_string("quality/progress.html", _progress(found), request)}
    )


@requires("check_answers")
@require_POST
def stop(request: HttpRequest, *, run_id: UUID) -> HttpResponse:
    starting.stop_run(_run(run_id).pk)
    return redirect("quality:run", run_id=run_id)


@requires("check_answers")
@require_POST
def go_on(request: HttpRequest, *, run_id: UUID) -> HttpResponse:
    starting.go_on(_run(run_id).pk, full_answers="full_answers" in request.POST)
    return redirect("quality:run", run_id=run_id)


def _run(run_id: UUID) -> QuestionRun:
    try:
        return running.access_run(run_id)
    except NotFound as error:
        raise Http404(error.message) from error


def _progress(found: QuestionRun) -> dict[str, Any]:
    """Of the questions decided, or where these are all there, of the answers written."""
    done, total, what = found.results.count(), found.total, "questions"
    if found.answers_total and found.is_active and done >= total:
        done, total, what = changing.written(found).count(), found.answers_total, "answers, each written twice,"
    percent = min(100, round(100 * done / total)) if total else 100
    named = _named(comparing.verdicts(found)) if found.kind == QuestionRun.Kind.SUITE else []
    failure = FAILURES.get(found.error, f"Something failed ({found.error}).") if found.error else ""
    return {"run": found, "done": done, "total": total, "what": what, "percent": percent, "verdicts": named, "failure": failure}


def _named(verdicts: dict[str, int]) -> list[tuple[str, str, int]]:
    return [(name, label, verdicts[name]) for name, label in VERDICTS.items() if verdicts.get(name)]


def _suite(request: HttpRequest, found: QuestionRun) -> dict[str, Any]:
    """Against ?with=, else the run before; ?show= one verdict or one kind of change."""
    earlier = _other(request.GET.get("with", "")) or comparing.last_finished(before=found)
    differences = comparing.compare(found, earlier) if earlier else []
    show = request.GET.get("show", "")
    kinds = {one.after.pk: one for one in differences}
    rows = found.results.select_related("question").order_by(_WORST_FIRST, "number")
    if show in VERDICTS:
        rows = rows.filter(verdict=show)
    elif show in QuestionResult.Change.values:
        rows = rows.filter(pk__in=[pk for pk, one in kinds.items() if one.kind == show])
    page = Paginator(rows, PAGE_RESULTS).get_page(request.GET.get("page"))
    others = QuestionRun.objects.filter(kind="suite", status="done", created_at__lt=found.created_at)[:RUNS_SHOWN]
    against = f"with={earlier.pk}&" if earlier else ""
    return {
        "earlier": earlier,
        "others": others,
        "counts": comparing.count(differences),
        "rows": [(row, kinds.get(row.pk), VERDICTS[row.verdict]) for row in page],
        "page": page,
        "page_link": f"?{against}show={show}&",
        "show": show,
        "show_link": f"?{against}show=",
    }


def _what_if(request: HttpRequest, found: QuestionRun) -> dict[str, Any]:
    show, beside = request.GET.get("show", ""), comparing.beside(found)
    rows = found.results.select_related("question", "message__conversation")
    tally = counts(found.results.order_by().values_list("change", flat=True))
    rows = rows.filter(change=show) if show in tally else rows.exclude(change__in=["", QuestionResult.Change.SAME])
    page = Paginator(rows, PAGE_RESULTS).get_page(request.GET.get("page"))
    return {
        "counts": tally,
        "page": page,
        "rows": list(page),
        "page_link": f"?show={show}&",
        "show": show,
        "show_link": "?show=",
        "beside": beside,
        "verdict_rows": [(label, *beside.verdicts[name]) for name, label in VERDICTS.items() if name in beside.verdicts],
        "unwritten": changing.to_write(found).filter(change="").count(),
        "more": starting.ANSWERS_AT_ONCE,
    }


def _other(value: str) -> QuestionRun | None:
    try:
        return running.access_run(UUID(value)) if value else None
    except (ValueError, NotFound) as error:
        raise Http404("This run does not exist.") from error
