"""What staff templates need and Django does not bring: rights, and times as a person says them."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from support_portal.accounts import roles
from support_portal.accounts.models import User

register = template.Library()

MINUTE_S, HOUR_S, DAY_S, WEEK_S = 60, 3600, 86_400, 7 * 86_400


@register.filter
def may(user: User | AnonymousUser, right: str) -> bool:
    return isinstance(user, User) and roles.may(user, right)


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """The time since then, in a word or two; the exact time on hover."""
    if moment is None:
        return ""
    local = timezone.localtime(moment)
    exact = local.strftime("%A, %-d %B %Y, %H:%M:%S %Z")
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(timespec="seconds"), exact, _words(local))


def _words(local: datetime) -> str:
    now = timezone.localtime()
    passed_s = (now - local).total_seconds()
    if passed_s < MINUTE_S:
        return "just now"
    if passed_s < HOUR_S:
        return f"{int(passed_s // MINUTE_S)} min ago"
    if passed_s < DAY_S:
        return f"{int(passed_s // HOUR_S)} h ago"
    if passed_s < WEEK_S:
        days = int(passed_s // DAY_S)
        return "yesterday" if days == 1 else f"{days} days ago"
    return local.strftime("%-d %b" if local.year == now.year else "%-d %b %Y")
