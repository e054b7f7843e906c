"""The web process: HTTP by Django, one websocket route by channels. It never loads torch."""

from __future__ import annotations

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "support_portal.settings")
django_application = get_asgi_application()

from support_portal.chat.origins import TrustedOrigins  # noqa: E402  (needs the settings that get_asgi_application has loaded)
from support_portal.chat.routing import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter({"http": django_application, "websocket": TrustedOrigins(URLRouter(websocket_urlpatterns))})
