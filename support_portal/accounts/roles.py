"""Who may do what: the one table of rights, and the guard every staff page goes through."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils import translation

from support_portal.accounts.models import User

RIGHTS: dict[str, frozenset[str]] = {
    User.Role.AGENT: frozenset({"read_conversations", "read_faqs"}),
    User.Role.EDITOR: frozenset({"read_conversations", "read_faqs", "edit_faqs", "check_answers"}),
    User.Role.ADMIN: frozenset({"read_conversations", "read_faqs", "edit_faqs", "check_answers", "manage_users"}),
}

Params = ParamSpec("Params")
Response = TypeVar("Response", bound=HttpResponseBase)


def may(user: User, right: str) -> bool:
    return user.is_active and right in RIGHTS.get(user.role, frozenset())


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
                return redirect("accounts:password_change")
            with translation.override("en"):
                return view(request, *args, **kwargs)

        return guarded

    return guard
