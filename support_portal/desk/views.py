"""The desk's pages: the list, one conversation, and the parts that its scripts load anew. Nothing here changes anything."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import require_GET

from chatbot.conversations import inbox, notes, reviewing, searching
from chatbot.conversations.inbox import Filters, Page, Position
from chatbot.conversations.reviewing import ReviewedConversation
from chatbot.errors import ChatbotError, Unavailable
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires
from support_portal.desk import filters as addresses
from support_portal.desk.list_news import counts_view
from support_portal.desk.shortcuts import SHORTCUTS
from support_portal.desk.showing import bare_messages, conversation_context, desk_position, pane_data, shown, shown_items


@requires("read_conversations")
@require_GET
def conversations(request: HttpRequest) -> HttpResponseBase:
    """The list beside an empty pane; with ?part=list its rows alone, as JSON."""
    context = _list_context(request)
    if request.GET.get("part") == "list":
        html = render_to_string("desk/rows.html", context, request=request)
        return JsonResponse({"html": html, "counts": context["counts"].model_dump(), "stream_id": context["stream_id"]})
    return render(request, "desk/page.html", context)


@requires("read_conversations")
@require_GET
def conversation(request: HttpRequest, *, conversation_id: UUID) -> HttpResponseBase:
    """One conversation beside the list; with ?pane=1 without the list; with ?part=earlier the messages before one, as JSON."""
    reviewed, before_seq = _reviewed(request, conversation_id)
    if request.GET.get("part") == "earlier":
        return _earlier(request, reviewed)
    context = conversation_context(reviewed, viewer=_viewer(request), newest=before_seq is None)
    if request.GET.get("pane"):
        return render(
            request, "desk/conversation.html", context | {"list_query": _list_query(request), "is_first_page": before_seq is None}
        )
    return render(request, "desk/page.html", _list_context(request) | context | {"is_first_page": before_seq is None})


@requires("read_conversations")
@require_GET
def state(request: HttpRequest, *, conversation_id: UUID) -> HttpResponse:
    """What stands around the messages, after somebody has changed it: header, actions and the right-hand side."""
    reviewed, _ = _reviewed(request, conversation_id)
    context = conversation_context(reviewed, viewer=_viewer(request), newest=True) | {"list_query": _list_query(request)}
    parts = {name: render_to_string(f"desk/{name}.html", context, request=request) for name in ("header", "context", "summary")}
    return JsonResponse({**parts, "data": pane_data(context, viewer=_viewer(request), bare=True)})


@requires("read_conversations")
@require_GET
def why(request: HttpRequest, *, message_id: UUID) -> HttpResponse:
    """How one answer came about."""
    try:
        message = reviewing.review_message(message_id)
    except ChatbotError as error:
        raise Http404 from error
    item = shown(message)
    return render(request, "desk/why.html", item | {"message": item})


def _reviewed(request: HttpRequest, conversation_id: UUID) -> tuple[ReviewedConversation, int | None]:
    try:
        before_seq = int(request.GET.get("before_seq", "0")) or None
        return reviewing.review(conversation_id, before_seq=before_seq), before_seq
    except (ChatbotError, ValueError) as error:
        raise Http404 from error


def _earlier(request: HttpRequest, reviewed: ReviewedConversation) -> HttpResponse:
    items = shown_items(reviewed.messages, notes.notes_of(reviewed.conversation.pk), until_seq=_until(reviewed))
    html = render_to_string("desk/items.html", {"items": items}, request=request)
    return JsonResponse({"html": html, "messages": bare_messages(reviewed.views), "has_earlier": reviewed.has_earlier})


def _until(reviewed: ReviewedConversation) -> int:
    return reviewed.messages[-1].view.seq if reviewed.messages else 0


def _list_query(request: HttpRequest) -> str:
    return addresses.address(_filters(request))


def _filters(request: HttpRequest) -> Filters:
    try:
        return addresses.parse(request.GET.dict())
    except ChatbotError as error:
        raise Http404 from error


def _list_context(request: HttpRequest) -> dict[str, Any]:
    """The list pane. Raises Http404 for what no link of ours contains."""
    viewer, chosen, before = _viewer(request), _filters(request), request.GET.get("before", "")
    # The stream's position first: what changes while the page is read is told again.
    stream_id = desk_position()
    try:
        position = Position.parse(before) if before else None
    except ChatbotError as error:
        raise Http404 from error
    offered = addresses.offered()
    page, problem = _page(chosen, viewer_id=viewer.pk, before=position)
    return {
        "section": "desk",
        "filters": chosen,
        "page": page,
        "problem": problem,
        "queues": [(name, label, key, addresses.address(Filters(queue=name))) for name, label, key in addresses.QUEUES],
        "queue_label": next(label for name, label, _ in addresses.QUEUES if name == chosen.queue),
        "selects": addresses.selects(chosen, offered=offered),
        "filter_count": addresses.filter_count(chosen),
        "saved_views": list(viewer.saved_views.all()),
        "counts": counts_view(viewer.pk),
        "by_wait": chosen.by_wait,
        "stream_id": stream_id,
        "viewer_id": viewer.pk,
        # Rows keep the list they were found in, so that the list beside a transcript stays the same.
        "list_query": addresses.address(chosen),
        "before": before,
        "next_page": addresses.address(chosen, before=str(page.next)) if page.next else "",
        "cleared": addresses.address(Filters(queue=chosen.queue)),
        "shortcuts": SHORTCUTS,
        **offered.for_dialogs(),
    }


def _page(chosen: Filters, *, viewer_id: int, before: Position | None) -> tuple[Page, str]:
    try:
        if chosen.query:
            return searching.search(chosen, viewer_id=viewer_id, before=before), ""
        return inbox.page_of(chosen, viewer_id=viewer_id, before=before), ""
    except Unavailable as error:
        return Page([], None), error.message


def _viewer(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # The guard has let nobody else in.
    return request.user
