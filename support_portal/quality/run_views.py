"""Runs over many questions: start one, watch it, compare it with an earlier one; and what a change would do."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatbot.errors import ChatbotError, NotFound
from chatbot.quality import comparing, running, starting
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
    form = ChangeForm(request.POST or None, initial={"draft": request.GET.get("draft", "")})
    if request.method == "POST" and form.is_valid():
        try:
            made = starting.start_what_if(
                author=cast(User, request.user),
                faq_id=int(form.cleaned_data["draft"]) if form.cleaned_data["draft"] else None,
                thresholds=form.thresholds(),
                messages=form.cleaned_data["messages"],
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
def full_answers(request: HttpRequest, *, run_id: UUID) -> HttpResponse:
    starting.write_full_answers(_run(run_id).pk)
    return redirect("quality:run", run_id=run_id)


def _run(run_id: UUID) -> QuestionRun:
    try:
        return running.access_run(run_id)
    except NotFound as error:
        raise Http404(error.message) from error


def _progress(found: QuestionRun) -> dict[str, Any]:
    done = found.results.count()
    percent = min(100, round(100 * done / found.total)) if found.total else 100
    return {"run": found, "done": done, "percent": percent, "verdicts": _named(comparing.verdicts(found))}


def _named(verdicts: dict[str, int]) -> list[tuple[str, str, int]]:
    return [(name, label, verdicts[name]) for name, label in VERDICTS.items() if verdicts.get(name)]


def _suite(request: HttpRequest, found: QuestionRun) -> dict[str, Any]:
    """Against ?with=, else the run before; ?show= one verdict or one kind of change."""
    earlier = _other(request.GET.get("with", "")) or comparing.last_finished(before=found)
    differences = comparing.compare(found, earlier) if earlier else []
    show = request.GET.get("show", "")
    kinds = {one.after.pk: one for one in differences}
    rows = found.results.select_related("question")
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
    show = request.GET.get("show", "")
    rows = found.results.select_related("question", "message__conversation")
    tally = counts(found.results.order_by().values_list("change", flat=True))
    rows = rows.filter(change=show) if show in tally else rows.exclude(change=QuestionResult.Change.SAME)
    page = Paginator(rows, PAGE_RESULTS).get_page(request.GET.get("page"))
    return {"counts": tally, "page": page, "rows": list(page), "page_link": f"?show={show}&", "show": show, "show_link": "?show="}


def _other(value: str) -> QuestionRun | None:
    try:
        return running.access_run(UUID(value)) if value else None
    except (ValueError, NotFound) as error:
        raise Http404("This run does not exist.") from error
