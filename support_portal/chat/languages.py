"""The interface language of a websocket, by the same rules that LocaleMiddleware has for pages: cookie, then browser."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from django.conf import settings
from django.utils.translation import get_supported_language_variant
from django.utils.translation.trans_real import parse_accept_lang_header


def locale_of_headers(headers: list[tuple[bytes, bytes]]) -> str:
    values = {name: value.decode("latin-1") for name, value in headers}
    wanted = [tag for tag, _ in parse_accept_lang_header(values.get(b"accept-language", ""))]
    try:
        chosen = SimpleCookie(values.get(b"cookie", "")).get(settings.LANGUAGE_COOKIE_NAME)
    except CookieError:
        chosen = None
    for tag in ([chosen.value] if chosen else []) + wanted:
        try:
            return get_supported_language_variant(tag)
        except LookupError:
            continue
    return settings.LANGUAGE_CODE
