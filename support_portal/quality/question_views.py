"""Test questions: list, add, change, remove, import, export."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatbot.errors import ChatbotError, NotFound
from chatbot.quality import comparing, suite
from chatbot.quality.judging import GOOD
from chatbot.quality.models import QuestionResult, QuestionRun, TestQuestion
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires
from support_portal.quality.forms import QuestionFileForm, QuestionForm, initial_of

PAGE_QUESTIONS = 50
RUNS_SHOWN = 8


@requires("check_answers")
@require_GET
def questions(request: HttpRequest) -> HttpResponse:
    last = comparing.last_finished()
    page = Paginator(TestQuestion.objects.all(), PAGE_QUESTIONS).get_page(request.GET.get("page"))
    results = {row.question_id: row for row in QuestionResult.objects.filter(run=last, question__in=list(page))} if last else {}
    context = {
        "section": "quality",
        "tab": "questions",
        "page": page,
        "page_link": "?",
        "rows": [(question, results.get(question.pk)) for question in page],
        "last": last,
        "runs": [_counted(run) for run in QuestionRun.objects.filter(kind="suite").select_related("created_by")[:RUNS_SHOWN]],
        "form": QuestionFileForm(),
    }
    return render(request, "quality/questions.html", context)


@requires("check_answers")
@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """?message= takes over a customer's message, or the one that a reply answers, with what was said before."""
    if request.method != "POST":
        return _form_page(request, QuestionForm(initial=_taken_over(request)))
    form = QuestionForm(request.POST)
    if form.is_valid():
        data = form.cleaned_data
        try:
            suite.add_question(form.expecting(), author=cast(User, request.user), note=data["note"], source_id=data["source"])
        except ChatbotError as error:
            _show_error(form, error)
        else:
            messages.success(request, "Added to the test questions.")
            return redirect("quality:questions")
    return _form_page(request, form)


@requires("check_answers")
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, *, question_id: int) -> HttpResponse:
    try:
        question = suite.access_question(question_id)
    except NotFound as error:
        raise Http404(error.message) from error
    if request.method != "POST":
        return _form_page(
            request, QuestionForm(initial=initial_of(question.asked()) | {"note": question.note}), question=question
        )
    form = QuestionForm(request.POST)
    if form.is_valid():
        try:
            suite.edit_question(question_id, asked=form.expecting(), note=form.cleaned_data["note"])
        except ChatbotError as error:
            _show_error(form, error)
        else:
            messages.success(request, "Saved.")
            return redirect("quality:questions")
    return _form_page(request, form, question=question)


@requires("check_answers")
@require_POST
def remove(request: HttpRequest, *, question_id: int) -> HttpResponse:
    try:
        suite.remove_question(question_id)
    except NotFound as error:
        raise Http404(error.message) from error
    messages.success(request, "Removed. Finished runs keep their counts.")
    return redirect("quality:questions")


@requires("check_answers")
@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    form = QuestionFileForm(request.POST, request.FILES)
    if not form.is_valid():
        messages.error(request, "Nothing was imported: " + " ".join(str(error) for error in form.errors.get("file", [])))
        return redirect("quality:questions")
    try:
        found = suite.import_questions(form.cleaned_data["file"], author=cast(User, request.user), note="imported")
    except ChatbotError as error:
        messages.error(request, f"Nothing was imported: {error.message}")
        return redirect("quality:questions")
    messages.success(request, f"Imported: {found.created} new, {found.changed} changed, {found.unchanged} as they were.")
    if found.unknown_keys:
        shown = ", ".join(found.unknown_keys[:3])
        messages.warning(request, f"{len(found.unknown_keys)} expected FAQs are not published, for example {shown}.")
    return redirect("quality:questions")


@requires("check_answers")
@require_GET
def export(request: HttpRequest) -> HttpResponse:
    response = HttpResponse(suite.export_questions(), content_type="application/jsonl; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="test-questions-{timezone.localdate():%Y-%m-%d}.jsonl"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _counted(run: QuestionRun) -> tuple[QuestionRun, int, int]:
    """A run with how many were right and wrong."""
    found = comparing.verdicts(run)
    return run, sum(found.get(verdict, 0) for verdict in GOOD), found.get("wrong", 0)


def _taken_over(request: HttpRequest) -> dict[str, Any]:
    if "message" not in request.GET:
        return {}
    try:
        message_id = UUID(request.GET["message"])
        return initial_of(suite.question_of_message(message_id)) | {"source": message_id}
    except (ValueError, NotFound) as error:
        raise Http404("This message does not exist.") from error


def _form_page(request: HttpRequest, form: QuestionForm, *, question: TestQuestion | None = None) -> HttpResponse:
    context = {"section": "quality", "tab": "questions", "form": form, "question": question}
    return render(request, "quality/question.html", context)


def _show_error(form: QuestionForm, error: ChatbotError) -> None:
    form.add_error(error.field if error.field in form.fields else None, error.message)
