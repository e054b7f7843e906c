"""The desk: agents read conversations and how each answer came about. Nothing here changes a conversation."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from chatbot.assist.summary import summarise
from chatbot.conversations import reviewing, waiting_line
from chatbot.conversations.reviewing import Position, ReviewedMessage
from chatbot.errors import ChatbotError
from support_portal.accounts.roles import requires
from support_portal.desk.why import explain_all

QUEUES = [("", "All"), ("waiting", "Waiting for a person"), ("open", "Answered by the bot"), ("closed", "Closed")]


@requires("read_conversations")
@require_GET
def conversations(request: HttpRequest) -> HttpResponse:
    return render(request, "desk/conversations.html", _list_context(request))


@requires("read_conversations")
@require_GET
def conversation(request: HttpRequest, *, conversation_id: UUID) -> HttpResponse:
    try:
        before_seq = int(request.GET.get("before_seq", "0")) or None
        reviewed = reviewing.review(conversation_id, before_seq=before_seq)
    except (ChatbotError, ValueError) as error:
        raise Http404 from error
    context = _list_context(request) | {
        "messages_shown": [_shown(message) for message in reviewed.messages],
        "has_earlier": reviewed.has_earlier,
        "conversation": reviewed.conversation,
        "summary": summarise(message.view for message in reviewed.messages),
        "other_conversations": reviewing.conversations_of_customer(reviewed.conversation.customer_id, besides=conversation_id),
    }
    return render(request, "desk/conversation.html", context)


def _shown(message: ReviewedMessage) -> dict[str, Any]:
    explained = explain_all(message.attempts)
    ahead = waiting_line.ahead_of(message.attempts[0]) if message.attempts else None
    return {
        "view": message.view,
        "place": None if ahead is None else ahead + 1,
        "html": message.html,
        "created_at": message.created_at,
        "why": explained[0] if explained else None,
        "explained": explained,
    }


def _list_context(request: HttpRequest) -> dict[str, Any]:
    """The list pane. Raises Http404 for a status or a position that no link of ours contains."""
    status, query, before = (request.GET.get(name, "") for name in ("status", "q", "before"))
    try:
        position = Position.parse(before) if before else None
        page = reviewing.page_of_conversations(status=status, query=query, before=position)
    except ChatbotError as error:
        raise Http404 from error
    chosen = {name: value for name, value in (("status", status), ("q", query)) if value}
    return {
        "section": "desk",
        "page": page,
        "queues": [(value, label, _link(chosen | {"status": value})) for value, label in QUEUES],
        "status": status,
        "query": query,
        "waiting": reviewing.waiting_count(),
        # Rows keep the list they were found in, so that the list beside a transcript stays the same.
        "list_query": _link(chosen | ({"before": before} if before else {})),
        "first_page": _link(chosen) if before else "",
        "next_page": _link(chosen | {"before": str(page.next)}) if page.next else "",
    }


def _link(parameters: dict[str, str]) -> str:
    return "?" + urlencode({name: value for name, value in parameters.items() if value})
