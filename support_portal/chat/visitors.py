"""Who an anonymous customer is: a random id in a signed, HttpOnly cookie, good for a year."""

from __future__ import annotations

import uuid
from http.cookies import CookieError, SimpleCookie

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest, HttpResponse

COOKIE = "visitor"
MAX_AGE_S = 365 * 24 * 3600
_signer = TimestampSigner(salt="answerdesk.visitor")


def visitor_of(request: HttpRequest) -> uuid.UUID | None:
    """The customer's id, or None for a browser that has no valid cookie."""
    return _read(request.COOKIES.get(COOKIE, ""))


def visitor_of_scope(headers: list[tuple[bytes, bytes]]) -> uuid.UUID | None:
    """See visitor_of(); takes the headers of a websocket handshake."""
    jar: SimpleCookie = SimpleCookie()
    for name, value in headers:
        if name == b"cookie":
            try:
                jar.load(value.decode("latin-1"))
            except CookieError:
                return None
    morsel = jar.get(COOKIE)
    return _read(morsel.value) if morsel else None


def remember_visitor(response: HttpResponse, visitor: uuid.UUID) -> None:
    """Set the cookie, or renew it."""
    response.set_cookie(
        COOKIE, _signer.sign(str(visitor)), max_age=MAX_AGE_S, httponly=True, samesite="Lax", secure=settings.HTTPS, path="/"
    )


def _read(cookie: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(_signer.unsign(cookie, max_age=MAX_AGE_S))
    except (BadSignature, ValueError):
        return None
