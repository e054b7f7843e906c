"""Help while writing: near-duplicates and contradictions, and phrasings that the model suggests.

A worker does the work and the page asks until it is done: POST begins and returns a token, GET looks, POST to cancel ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from chatbot.assist import jobs, tasks
from chatbot.assist.faq_checks import Draft
from chatbot.assist.phrasings import Asked
from chatbot.errors import ChatbotError, NotFound
from chatbot.knowledge.models import MAX_ANSWER_CHARS, MAX_KEY_CHARS, MAX_PHRASINGS, MAX_QUESTION_CHARS
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires


@requires("edit_faqs")
@require_POST
def check(request: HttpRequest) -> JsonResponse:
    typed = _typed(request)
    return _begun(lambda user_id: tasks.begin_check(Draft(**typed), user_id=user_id), request)


@requires("edit_faqs")
@require_POST
def suggest(request: HttpRequest) -> JsonResponse:
    typed = _typed(request)
    if not typed["question"]:
        return JsonResponse({"message": "Write the question first."}, status=400)
    return _begun(lambda user_id: tasks.begin_suggestions(Asked(**typed), user_id=user_id), request)


@requires("edit_faqs")
@require_GET
def look(request: HttpRequest, *, token: str) -> JsonResponse:
    try:
        job = jobs.look(token, user_id=cast(User, request.user).pk)
    except ChatbotError as error:
        return _refused(error)
    return JsonResponse({"state": job.state, "found": job.found, "message": job.message})


@requires("edit_faqs")
@require_POST
def cancel(request: HttpRequest, *, token: str) -> JsonResponse:
    try:
        jobs.cancel(token, user_id=cast(User, request.user).pk)
    except ChatbotError as error:
        return _refused(error)
    return JsonResponse({"state": "cancelled"})


def _begun(begin: Callable[[int], str], request: HttpRequest) -> JsonResponse:
    try:
        token = begin(cast(User, request.user).pk)
    except ChatbotError as error:
        return _refused(error)
    return JsonResponse(
        {"look": reverse("faqs:help", kwargs={"token": token}), "cancel": reverse("faqs:help_cancel", kwargs={"token": token})}
    )


def _typed(request: HttpRequest) -> dict[str, Any]:
    """What stands in the editor, cut to what a FAQ may hold: it is looked at, not stored."""
    post = request.POST
    lines = [line.strip()[:MAX_QUESTION_CHARS] for line in post.get("phrasings", "").splitlines() if line.strip()]
    return {
        "key": post.get("key", "").replace("\x00", "")[:MAX_KEY_CHARS],
        "locale": post.get("locale", "")[:35] or "en",
        "question": post.get("question", "").strip()[:MAX_QUESTION_CHARS],
        "answer": post.get("answer", "")[:MAX_ANSWER_CHARS],
        "phrasings": tuple(lines[:MAX_PHRASINGS]),
    }


def _refused(error: ChatbotError) -> JsonResponse:
    return JsonResponse({"code": error.code, "message": error.message}, status=404 if isinstance(error, NotFound) else 503)
