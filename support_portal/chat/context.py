"""What every template knows of the company."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.translation import get_language

from chatbot import runtime


def company(request: HttpRequest) -> dict[str, Any]:
    found, locale = runtime.company(), get_language() or "en"
    texts = {field: found.text(field, locale=locale) for field in ("tagline", "bot_name", "hours")}
    return {"company": {"name": found.name, "phone": found.phone, "email": found.email, "site_url": found.site_url, **texts}}
