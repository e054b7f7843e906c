"""What staff templates need and Django does not bring: rights, and times as a person says them."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote, urlencode

from django import template
from django.contrib.auth.models import AnonymousUser
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from chatbot.staffing.models import AuditEntry
from support_portal.accounts import roles
from support_portal.accounts.models import User

register = template.Library()

# What tells them apart; Chrome also says Safari, Edge also says Chrome, and Android also says Linux.
BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)
MINUTE_S, HOUR_S, DAY_S, WEEK_S = 60, 3600, 86_400, 7 * 86_400


@register.filter
def may(user: User | AnonymousUser, right: str) -> bool:
    return isinstance(user, User) and roles.may(user, right)


@register.filter
def source_url(key: str) -> str:
    """Where staff read what an answer rests on: a document's passage, else an FAQ."""
    kind, _, number = key.partition(":")
    if kind == "document" and number.isdigit():
        return reverse("documents:passage", kwargs={"passage_id": int(number)})
    return f"{reverse('faqs:list')}?{urlencode({'q': key}, quote_via=quote, safe='')}"


@register.filter
def audit_detail(entry: AuditEntry) -> str:
    """An entry's detail in one line: `role: agent; fields: name, email`."""
    return "; ".join(
        f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}" for key, value in entry.detail.items()
    )


@register.filter
def browser_name(user_agent: str) -> str:
    """`Firefox on Linux`, as far as the browser says so itself."""
    browser = next((name for mark, name in BROWSERS if mark in user_agent), "A browser")
    system = next((name for mark, name in SYSTEMS if mark in user_agent), "")
    return f"{browser} on {system}" if system else browser


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """The time since then, in a word or two; the exact time on hover."""
    if moment is None:
        return ""
    return _timed(moment, _words(moment))


def _words(moment: datetime) -> str:
    passed_s = (timezone.now() - moment).total_seconds()
    if passed_s < MINUTE_S:
        return "just now"
    if passed_s < HOUR_S:
        return f"{int(passed_s // MINUTE_S)} min ago"
    if passed_s < DAY_S:
        return f"{int(passed_s // HOUR_S)} h ago"
    if passed_s < WEEK_S:
        days = int(passed_s // DAY_S)
        return "yesterday" if days == 1 else f"{days} days ago"
    return _day(moment)


def _day(moment: datetime) -> str:
    local = timezone.localtime(moment)
    return local.strftime("%-d %b" if local.year == timezone.localtime().year else "%-d %b %Y")


def _timed(moment: datetime, words: str) -> SafeString:
    local = timezone.localtime(moment)
    exact = local.strftime("%A, %-d %B %Y, %H:%M:%S %Z")
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(timespec="seconds"), exact, words)


@register.filter
def waited(since: datetime | None) -> str:
    """How long somebody has waited, as short as a list has room for: 40 s, 12 min, 3 h, 2 d."""
    if since is None:
        return ""
    passed_s = max(0, (timezone.now() - since).total_seconds())
    steps = [(MINUTE_S, 1, "s"), (HOUR_S, MINUTE_S, "min"), (DAY_S, HOUR_S, "h")]
    unit_s, unit = next(((size, name) for limit, size, name in steps if passed_s < limit), (DAY_S, "d"))
    return f"{int(passed_s // unit_s)} {unit}"


@register.filter
def short_ago(moment: datetime | None) -> SafeString | str:
    """See ago(), shorter: for rows."""
    if moment is None:
        return ""
    recent = (timezone.now() - moment).total_seconds() < WEEK_S
    return _timed(moment, waited(moment) if recent else _day(moment))
