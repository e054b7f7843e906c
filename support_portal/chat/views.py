"""The customer's pages. The conversation itself goes over the websocket; these only set the table."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from chatbot import runtime
from chatbot.answering.language import direction
from chatbot.conversations import transcripts
from chatbot.conversations.access import access_conversation
from chatbot.errors import NotFound
from chatbot.insights import related
from chatbot.knowledge.access import access_published_faq
from chatbot.learning.models import Feedback
from chatbot.protocol import MAX_COMMENT_CHARS, MAX_TEXT_CHARS
from chatbot.rendering import render_markdown
from support_portal.chat.labels import chat_labels
from support_portal.chat.theme import theme_css
from support_portal.chat.visitors import remember_visitor, visitor_of


@require_safe
def home(request: HttpRequest) -> HttpResponseBase:
    return redirect("chat:new")


@require_safe
@ensure_csrf_cookie
def page(request: HttpRequest, conversation_id: uuid.UUID | None = None) -> HttpResponse:
    """The chat page, empty or with one of the visitor's own conversations; also where a visitor gets his cookie."""
    visitor = visitor_of(request)
    if conversation_id is not None:
        _require_own(conversation_id, visitor)
    locale = get_language() or "en"
    config = _config(request, locale=locale, conversation_id=conversation_id)
    response = render(
        request, "chat/page.html", {"config": config, "greeting": config["greeting"], "suggestions": config["suggestions"]}
    )
    response["Cache-Control"] = "no-store"
    remember_visitor(response, visitor or uuid.uuid4())
    return response


def _require_own(conversation_id: uuid.UUID, visitor: uuid.UUID | None) -> None:
    try:
        access_conversation(conversation_id, customer_id=visitor or uuid.UUID(int=0))
    except NotFound as error:
        raise Http404(error.message) from error


def _config(request: HttpRequest, *, locale: str, conversation_id: uuid.UUID | None) -> dict[str, Any]:
    """What the page's script needs to start; goes into the page as JSON."""
    company = runtime.company()
    scheme = "wss" if request.is_secure() else "ws"
    return {
        "socket_url": f"{scheme}://{request.get_host()}/ws/chat/",
        "conversation_id": str(conversation_id or ""),
        "locale": locale,
        "limits": {"text_chars": MAX_TEXT_CHARS, "comment_chars": MAX_COMMENT_CHARS},
        "greeting": company.text("greeting", locale=locale),
        "suggestions": company.suggestions_for(locale),
        "feedback_reasons": list(Feedback.Reason.values),
        "labels": chat_labels(),
        "mail": settings.MAIL_CONFIGURED,
    }


@require_safe
@cache_control(no_store=True)
def conversations(request: HttpRequest) -> JsonResponse:
    """The visitor's own conversations, newest first."""
    visitor = visitor_of(request)
    found = transcripts.conversations_of(visitor) if visitor else []
    rows = [{"id": str(c.id), "title": c.title, "status": c.status, "updated_at": c.updated_at.isoformat()} for c in found]
    return JsonResponse({"conversations": rows})


@require_safe
def faq(request: HttpRequest, key: str) -> HttpResponse:
    """A published FAQ, as citations open it: in the reader's language where there is one."""
    try:
        found = access_published_faq(key, locale=get_language() or "en")
    except NotFound as error:
        raise Http404(error.message) from error
    context = {
        "faq": found,
        "html": render_markdown(found.answer),
        "dir": direction(found.question),
        "related": related.related(found),
    }
    return render(request, "chat/faq.html", context)


@require_safe
@cache_control(max_age=300)
def theme(request: HttpRequest) -> HttpResponse:
    """The company's accent colour as a stylesheet: the policy allows no inline style."""
    return HttpResponse(theme_css(runtime.company().accent), content_type="text/css; charset=utf-8")
