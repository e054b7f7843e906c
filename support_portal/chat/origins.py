"""Refuse websockets opened by other sites' pages: browsers send our cookie with them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from chatbot.telemetry import log_event


class TrustedOrigins:
    """ASGI middleware. Passes a handshake whose Origin is this host itself, or is named in TRUSTED_ORIGINS; closes others."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        if is_trusted(headers.get(b"origin", b"").decode("latin-1"), host=headers.get(b"host", b"").decode("latin-1")):
            await self.application(scope, receive, send)
        else:
            log_event("socket.refused", code="origin")
            await send({"type": "websocket.close", "code": 4403})


def is_trusted(origin: str, *, host: str) -> bool:
    """Compare scheme, host and port exactly. The own host counts only when ALLOWED_HOSTS knows it."""
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    scheme = "https" if settings.HTTPS else "http"
    try:
        name = urlsplit(f"{scheme}://{host}").hostname
    except ValueError:
        return False
    known = name in settings.ALLOWED_HOSTS or "*" in settings.ALLOWED_HOSTS
    return known and origin == f"{scheme}://{host}"
