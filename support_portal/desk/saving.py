"""Keep lists under names, each person for herself."""

from __future__ import annotations

from django.db import transaction

from chatbot.characters import strip_invisible
from chatbot.errors import InvalidInput, NotFound
from support_portal.accounts.models import User
from support_portal.desk import filters
from support_portal.desk.models import MAX_VIEWS, SavedView

MAX_NAME_CHARS = 60


def save_view(name: str, *, owner: User, query: str) -> SavedView:
    """Keep a list. An existing name gets the new list. Raises InvalidInput for an empty name, a broken list, or one too many."""
    cleaned = " ".join(strip_invisible(name).split())
    if not cleaned or len(cleaned) > MAX_NAME_CHARS:
        raise InvalidInput(f"A name has between 1 and {MAX_NAME_CHARS} characters.", code="name_invalid", field="name")
    kept = filters.address(filters.parse_query(query.removeprefix("?")))
    if len(kept) > 500:
        raise InvalidInput("This list is too long to be kept.", code="query_too_long", field="query")
    with transaction.atomic():
        User.objects.select_for_update().get(pk=owner.pk)
        view = SavedView.objects.filter(owner=owner, name=cleaned).first() or SavedView(owner=owner, name=cleaned)
        if view.pk is None and owner.saved_views.count() >= MAX_VIEWS:
            raise InvalidInput(f"You have {MAX_VIEWS} saved lists. Remove one first.", code="views_too_many")
        view.query = kept
        view.save()
    return view


def forget_view(view_id: int, *, owner: User) -> None:
    """Remove one of the person's own lists. Raises NotFound."""
    view = SavedView.objects.filter(pk=view_id, owner=owner).first()
    if view is None:
        raise NotFound("This saved list does not exist.", code="view_not_found")
    view.delete()
