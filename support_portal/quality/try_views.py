"""The test bench: ask as a customer would, and see everything about the answer."""

from __future__ import annotations

import json
from typing import Any, cast

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET, require_http_methods

from chatbot.answering.language import direction
from chatbot.conversations.models import Generation
from chatbot.errors import ChatbotError, NotFound
from chatbot.quality import trials
from chatbot.quality.starting import start_trial
from chatbot.quality.suite import access_question
from chatbot.quality.thresholds import live_thresholds
from chatbot.quality.trials import Trial
from chatbot.rendering import render_markdown
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires
from support_portal.desk.why import explain
from support_portal.quality.forms import QuestionForm, TryForm, initial_of

_FAILURES = {
    "faq_not_found": "The FAQ whose draft was to be used does not exist any more.",
    "engine_busy": "The model is full and takes no more work now. Please try again in a moment.",
}


@requires("check_answers")
@require_http_methods(["GET", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _page(request, TryForm(initial=_wanted(request)))
    form = TryForm(request.POST)
    if not form.is_valid():
        return _page(request, form)
    try:
        token = start_trial(form.asked(), user_id=cast(User, request.user).pk, draft=form.draft_id())
    except ChatbotError as error:
        form.add_error(None, error.message)
        return _page(request, form)
    return redirect("quality:trial", token=token)


@requires("check_answers")
@require_GET
def trial(request: HttpRequest, *, token: str) -> HttpResponse:
    found = _trial(request, token)
    form = TryForm(initial=initial_of(found.asked) | {"draft": str(found.draft or "")})
    return _page(request, form, token=token, **_shown(found))


@requires("check_answers")
@require_GET
def result(request: HttpRequest, *, token: str) -> JsonResponse:
    """What the page asks for until the answer is there."""
    found = _trial(request, token)
    html = render_to_string("quality/result.html", _shown(found), request)
    return JsonResponse({"done": found.state in ("done", "failed"), "html": html})


def _wanted(request: HttpRequest) -> dict[str, str]:
    """What a link to the bench wants asked: ?question= one of the test questions, or ?text=, ?locale=, ?draft=."""
    number = request.GET.get("question", "")
    if number.isascii() and number.isdigit() and len(number) < 10:
        try:
            return initial_of(access_question(int(number)).asked())
        except NotFound as error:
            raise Http404 from error
    return {name: request.GET[name] for name in ("text", "locale", "draft") if name in request.GET}


def _trial(request: HttpRequest, token: str) -> Trial:
    try:
        return trials.read_trial(token, user_id=cast(User, request.user).pk)
    except ChatbotError as error:
        raise Http404(error.message) from error


def _page(request: HttpRequest, form: TryForm, **more: Any) -> HttpResponse:
    return render(request, "quality/try.html", {"section": "quality", "tab": "try", "form": form, **more})


def _shown(found: Trial) -> dict[str, Any]:
    context: dict[str, Any] = {
        "trial": found,
        "failure": _FAILURES.get(found.error, f"The question could not be tried ({found.error})."),
    }
    if found.result is None:
        return context
    told, limits = found.result, live_thresholds()
    save = QuestionForm(initial=initial_of(found.asked) | {"expected": _likely(told)}, auto_id="save_%s")
    return context | {
        "told": told,
        "why": explain(_generation(told)),
        "html": render_markdown(told["text"], citations=[c["number"] for c in told["citations"]]),
        "dir": direction(told["text"]),
        "limits": limits,
        "scale": [(name, round(value * 100)) for name, value in limits.as_json().items()],
        "confidence_percent": round(told["confidence"] * 100, 1),
        "trace": json.dumps(told["trace"], ensure_ascii=False, indent=2),
        "save_form": save,
        "keys": [row["key"] for row in told["trace"].get("ranked", [])],
    }


def _likely(told: dict[str, Any]) -> str:
    """The key that an editor most likely means: what was cited."""
    return next((citation["key"] for citation in told["citations"]), "")


def _generation(told: dict[str, Any]) -> Generation:
    """The trial as the desk's explanation reads it; never saved."""
    return Generation(
        decision=told["decision"],
        trace=told["trace"] | {"worker": told["worker"]},
        finish_reason=told["finish_reason"],
        model_version=told["model_version"],
        prompt_tokens=told["prompt_tokens"],
        completion_tokens=told["completion_tokens"],
        ttft_ms=told["ttft_ms"],
        total_ms=told["total_ms"],
        text=told["text"],
    )
