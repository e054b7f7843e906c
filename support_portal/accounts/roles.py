"""Who may do what: the one table of rights, and the guard every staff page goes through."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils import translation

from support_portal.accounts.models import User
from support_portal.accounts.second_factor import lacks_second_factor

_AGENT = frozenset({"read_conversations", "take_conversations", "read_faqs"})
_LEAD = _AGENT | {"lead_teams", "review_answers", "check_answers", "read_insights"}
_EDITOR = _AGENT | {"edit_faqs", "check_answers", "review_answers"}
RIGHTS: dict[str, frozenset[str]] = {
    User.Role.AGENT: _AGENT,
    User.Role.LEAD: _LEAD,
    User.Role.EDITOR: _EDITOR,
    User.Role.ADMIN: _LEAD | _EDITOR | {"manage_teams", "manage_users", "manage_releases", "read_audit"},
}

Params = ParamSpec("Params")
Response = TypeVar("Response", bound=HttpResponseBase)


def may(user: User, right: str) -> bool:
    return user.is_active and right in RIGHTS.get(user.role, frozenset())


def people_with(right: str) -> QuerySet[User]:
    """Everyone who may do it, by name."""
    roles = [role for role, rights in RIGHTS.items() if right in rights]
    return User.objects.filter(is_active=True, role__in=roles).order_by("first_name", "username")


def requires(
    right: str,
) -> Callable[
    [Callable[Concatenate[HttpRequest, Params], HttpResponseBase]], Callable[Concatenate[HttpRequest, Params], HttpResponseBase]
]:
    """Let only signed-in people with this right pass: others sign in first, or get 403.

    Staff pages are written in English, whatever the browser asks for, so Django's own words on them are too.
    """

    def guard(
        view: Callable[Concatenate[HttpRequest, Params], HttpResponseBase],
    ) -> Callable[Concatenate[HttpRequest, Params], HttpResponseBase]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: Params.args, **kwargs: Params.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not may(request.user, right):
                raise PermissionDenied
            if request.user.must_change_password:
                return redirect("account_change_password")
            if lacks_second_factor(request.user, request.session):
                return redirect("mfa_activate_totp")
            with translation.override("en"):
                return view(request, *args, **kwargs)

        # For tests/architecture/endpoints.py, which tells whoever forgot a rule what to write.
        guarded.right = right  # type: ignore[attr-defined]
        return guarded

    return guard
