"""Help beside the composer: drafts, rewriting, translation, FAQs, canned replies.

Pages ask for a job and look at it until it is done.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from chatbot.answering.language import NAMES
from chatbot.assist import canned as canned_replies
from chatbot.assist import jobs, kept_drafts, tasks
from chatbot.assist.noting import newest_note
from chatbot.conversations.access import access_conversation_as_staff
from chatbot.errors import ChatbotError, InvalidInput, NotFound, Unavailable
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires

Params = ParamSpec("Params")
MAX_KEPT_CHARS = 64_000


def told(
    view: Callable[Concatenate[HttpRequest, Params], HttpResponse],
) -> Callable[Concatenate[HttpRequest, Params], HttpResponse]:
    """Answer an expected error with its sentence, for the script that asked."""

    @wraps(view)
    def answered(request: HttpRequest, /, *args: Params.args, **kwargs: Params.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except ChatbotError as error:
            status = 404 if isinstance(error, NotFound) else 503 if isinstance(error, Unavailable) else 400
            return JsonResponse({"message": error.message, "code": error.code, "field": error.field}, status=status)

    return answered


@requires("take_conversations")
@require_POST
@told
def draft(request: HttpRequest, *, conversation_id: UUID) -> HttpResponse:
    access_conversation_as_staff(conversation_id)
    return _job(tasks.begin_draft(conversation_id, user_id=_user(request).pk))


@requires("take_conversations")
@require_POST
@told
def rewrite(request: HttpRequest, *, conversation_id: UUID) -> HttpResponse:
    access_conversation_as_staff(conversation_id)
    text, style = request.POST.get("text", ""), request.POST.get("style", "")
    return _job(tasks.begin_rewrite(text, style=style, user_id=_user(request).pk))


@requires("take_conversations")
@require_POST
@told
def translate(request: HttpRequest, *, conversation_id: UUID) -> HttpResponse:
    access_conversation_as_staff(conversation_id)
    text, to = request.POST.get("text", ""), request.POST.get("to", "")
    if to not in NAMES:
        raise InvalidInput("Choose a language.", field="to")
    return _job(tasks.begin_translation(text, to=to, user_id=_user(request).pk))


@requires("read_conversations")
@require_POST
@told
def faqs(request: HttpRequest, *, conversation_id: UUID) -> HttpResponse:
    access_conversation_as_staff(conversation_id)
    return _job(tasks.begin_faq_suggestions(conversation_id, user_id=_user(request).pk))


@requires("take_conversations")
@require_GET
@told
def canned(request: HttpRequest, *, conversation_id: UUID) -> HttpResponse:
    user = _user(request)
    found = canned_replies.offered(conversation_id, agent_id=user.pk, agent_name=user.display_name)
    return JsonResponse({"replies": [asdict(one) | {"used": reverse("assist:used", args=[one.id])} for one in found]})


@requires("take_conversations")
@require_POST
def used(request: HttpRequest, *, reply_id: int) -> HttpResponse:
    canned_replies.count_use(reply_id)
    return HttpResponse(status=204)


@requires("take_conversations")
@require_POST
@told
def kept(request: HttpRequest, *, conversation_id: UUID) -> HttpResponse:
    """A draft was taken into the composer."""
    sent = request.POST.get("draft", "")
    try:
        if len(sent) > MAX_KEPT_CHARS:
            raise ValueError
        found: dict[str, Any] = json.loads(sent)
        draft, sources = str(found["plain"]), [source for source in found.get("sources", []) if isinstance(source, dict)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput("This is no draft.", field="draft") from error
    version = str(found.get("model_version", ""))
    row = kept_drafts.keep(conversation_id, agent_id=_user(request).pk, draft=draft, sources=sources, model_version=version)
    return JsonResponse({"id": row.pk})


@requires("read_conversations")
@require_GET
@told
def note(request: HttpRequest, *, conversation_id: UUID) -> HttpResponse:
    """The newest note as the panel shows it; `done` once nothing better is being written."""
    access_conversation_as_staff(conversation_id)
    found = newest_note(conversation_id)
    html = render(request, "assist/note.html", {"note": found}).content.decode()
    return JsonResponse({"done": not (found and found.to_write), "html": html})


@requires("read_conversations")
@require_GET
@told
def job(request: HttpRequest, *, token: str) -> HttpResponse:
    found = jobs.look(token, user_id=_user(request).pk)
    return JsonResponse({"state": found.state, "found": found.found, "message": found.message})


@requires("read_conversations")
@require_POST
@told
def cancel(request: HttpRequest, *, token: str) -> HttpResponse:
    jobs.cancel(token, user_id=_user(request).pk)
    return HttpResponse(status=204)


def _job(token: str) -> HttpResponse:
    return JsonResponse({"look": reverse("assist:job", args=[token]), "cancel": reverse("assist:cancel", args=[token])})


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
