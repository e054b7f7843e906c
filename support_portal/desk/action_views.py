"""What agents do, as form posts. Each is safe to send again: deeds that are done change nothing, messages carry an id."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_POST

from chatbot.conversations import agent_messages, notes
from chatbot.errors import ChatbotError, InvalidInput
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires
from support_portal.desk import acting
from support_portal.desk.answers import answers_errors, done
from support_portal.desk.saving import forget_view, save_view


@requires("take_conversations")
@require_POST
@answers_errors
def act(request: HttpRequest, *, conversation_id: UUID, action: str) -> HttpResponseBase:
    change = acting.perform(action, conversation_id, by=_agent(request), values=_values(request))
    return done(request, acting.said(action, change), undo=_some(acting.undo_of(action, change)))


@requires("take_conversations")
@require_POST
@answers_errors
def act_on_many(request: HttpRequest) -> HttpResponseBase:
    """The same deed for each of `ids`; what is refused is told, and keeps nothing else from being done."""
    ids = [_uuid(text) for text in request.POST.getlist("ids")][: acting.MAX_BULK]
    action, undo, refused = request.POST.get("action", ""), [], []
    if not ids:
        raise InvalidInput("Select a conversation first.", code="nothing_selected")
    for conversation_id in ids:
        try:
            change = acting.perform(action, conversation_id, by=_agent(request), values=_values(request))
            undo += _some(acting.undo_of(action, change))
        except ChatbotError as error:
            refused.append({"id": str(conversation_id), "code": error.code, "message": error.message})
    if len(refused) == len(ids):
        raise InvalidInput(refused[0]["message"], code=refused[0]["code"])
    return done(request, _said_of_many(len(ids) - len(refused), refused), undo=undo, refused=refused)


@requires("take_conversations")
@require_POST
@answers_errors
def undo(request: HttpRequest) -> HttpResponseBase:
    """Take back what an answer's `undo` names."""
    try:
        items = json.loads(request.POST.get("undo", ""))
        assert isinstance(items, list) and 0 < len(items) <= acting.MAX_BULK and all(isinstance(item, dict) for item in items)
    except (ValueError, AssertionError) as error:
        raise InvalidInput("This cannot be undone any more.", code="undo_unknown") from error
    for item in items:
        acting.restore(item, by=_agent(request))
    return done(request, "Undone.")


@requires("take_conversations")
@require_POST
@answers_errors
def post_message(request: HttpRequest, *, conversation_id: UUID) -> HttpResponseBase:
    """Write to the customer. Sending the same client_message_id again returns the first result."""
    view = agent_messages.post_agent_message(
        request.POST.get("text", ""),
        conversation_id=conversation_id,
        agent_id=_agent(request).pk,
        client_message_id=_uuid(request.POST.get("client_message_id", "")),
    )
    return done(request, "Sent.", message=view.model_dump(mode="json"))


@requires("take_conversations")
@require_POST
@answers_errors
def post_note(request: HttpRequest, *, conversation_id: UUID) -> HttpResponseBase:
    note = notes.post_note(
        request.POST.get("text", ""),
        conversation_id=conversation_id,
        author_id=_agent(request).pk,
        client_note_id=_uuid(request.POST.get("client_message_id", "")),
    )
    return done(request, "Note added.", note=note.model_dump(mode="json"))


@requires("read_conversations")
@require_POST
@answers_errors
def mentions_seen(request: HttpRequest, *, conversation_id: UUID) -> HttpResponseBase:
    """The notes that call this person have been read."""
    notes.see_mentions(_agent(request).pk, conversation_id=conversation_id)
    return done(request, "Seen.")


@requires("read_conversations")
@require_POST
@answers_errors
def save(request: HttpRequest) -> HttpResponseBase:
    view = save_view(request.POST.get("name", ""), owner=_agent(request), query=request.POST.get("query", ""))
    return done(request, f"Saved as “{view.name}”.", view={"id": view.pk, "name": view.name, "query": view.query})


@requires("read_conversations")
@require_POST
@answers_errors
def forget(request: HttpRequest, *, view_id: int) -> HttpResponseBase:
    forget_view(view_id, owner=_agent(request))
    return done(request, "The saved list is gone.")


def _values(request: HttpRequest) -> dict[str, str]:
    return {name: str(request.POST.get(name, "")) for name in ("value", "note", "instead_of")}


def _said_of_many(count: int, refused: list[dict[str, str]]) -> str:
    said = f"Done for {count} conversation{'' if count == 1 else 's'}."
    return f"{said} {len(refused)} refused: {refused[0]['message']}" if refused else said


def _some(item: dict[str, Any] | None) -> list[dict[str, Any]]:
    return [] if item is None else [item]


def _agent(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # The guard has let nobody else in.
    return request.user


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidInput("This is not an id.", code="id_invalid") from error
