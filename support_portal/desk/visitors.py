"""Who stands behind a staff socket: the session cookie of its handshake, checked as a page would check it."""

from __future__ import annotations

from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from support_portal.accounts.sessions import still_allowed


def staff_of_scope(headers: Iterable[tuple[bytes, bytes]], *, right: str) -> tuple[int, str] | None:
    """The user's id and session key, if the session is good and the person has this right. Reads the database."""
    cookie = b"; ".join(value for name, value in headers if name == b"cookie").decode("latin-1")
    try:
        morsel = SimpleCookie(cookie).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return None
    if morsel is None or not morsel.value:
        return None
    user_id = SessionStore(session_key=morsel.value).get(SESSION_KEY, "")
    if not str(user_id).isdigit() or not still_allowed(int(user_id), morsel.value, right):
        return None
    return int(user_id), morsel.value
