"""The web process: HTTP by Django, one websocket route by channels. It never loads torch."""

from __future__ import annotations

import os
import sys

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "support_portal.settings")
django_application = get_asgi_application()

from django.conf import settings  # noqa: E402  (needs the settings that get_asgi_application has loaded)

from support_portal.body_limit import limit_body  # noqa: E402
from support_portal.chat.origins import TrustedOrigins  # noqa: E402
from support_portal.chat.routing import websocket_urlpatterns as chat_sockets  # noqa: E402
from support_portal.desk.routing import websocket_urlpatterns as desk_sockets  # noqa: E402

# The event loop shares the interpreter with threads that read the database: it shall not wait the usual 5 ms for its turn.
sys.setswitchinterval(0.001)
# A form has some bytes around its file.
http_application = limit_body(django_application, max_bytes=settings.DOCUMENT_MAX_BYTES + 2 * 1024 * 1024)
application = ProtocolTypeRouter(
    {"http": http_application, "websocket": TrustedOrigins(URLRouter([*chat_sockets, *desk_sockets]))}
)
