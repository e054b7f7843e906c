"""Answers of the desk's form posts: JSON for its scripts, a page with a notice for everybody else."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme

from chatbot.errors import ChatbotError, Conflict, InvalidInput, NotFound, TooFast, Unavailable

Params = ParamSpec("Params")
STATUS: dict[type[ChatbotError], int] = {InvalidInput: 400, NotFound: 404, Conflict: 409, TooFast: 429, Unavailable: 503}


def wants_json(request: HttpRequest) -> bool:
    return "application/json" in request.headers.get("Accept", "")


def answers_errors(
    view: Callable[Concatenate[HttpRequest, Params], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, Params], HttpResponseBase]:
    """Turn an expected error into an answer: JSON with its code, or the page it came from with a notice."""

    @wraps(view)
    def answered(request: HttpRequest, /, *args: Params.args, **kwargs: Params.kwargs) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except ChatbotError as error:
            if wants_json(request):
                status = next((number for kind, number in STATUS.items() if isinstance(error, kind)), 400)
                body = {"code": error.code, "message": error.message, "field": error.field, "retry_after_s": error.retry_after_s}
                return JsonResponse({"error": body}, status=status)
            if isinstance(error, NotFound):
                raise Http404 from error
            return with_notice(request, error.message, level=messages.ERROR)

    return answered


def done(request: HttpRequest, sentence: str, **more: Any) -> HttpResponse:
    return JsonResponse({"said": sentence, **more}) if wants_json(request) else with_notice(request, sentence)


def with_notice(request: HttpRequest, sentence: str, *, level: int = messages.SUCCESS) -> HttpResponse:
    """Back to the page the form stood on."""
    messages.add_message(request, level, sentence)
    back = request.headers.get("Referer", "")
    safe = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    return redirect(back if safe else "desk:list")
