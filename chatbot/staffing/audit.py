"""The audit log: who used which right on what. Written in the transaction of the deed: neither is without the other.

Nothing of what customers or colleagues wrote gets in: `object` is a kind and an id, `detail` holds names of fields, keys,
counts and states.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from chatbot.staffing.models import AuditEntry

MAX_TEXT = 120
MAX_ITEMS = 50
_ACTION = re.compile(r"[a-z_]+\.[a-z_]+")
Value = str | int | float | bool | None


def record(
    actor_id: int | None, action: str, object: str = "", detail: Mapping[str, Value | list[str] | list[int]] | None = None
) -> None:
    """Write one entry: `record(user.pk, "faq.published", f"faq {faq.key}", {"locale": faq.locale})`.

    Call it inside the transaction that does the deed; raises RuntimeError outside of any. `action` reads "noun.verbed".
    Raises ValueError for a detail that is long enough to be somebody's words. No actor means the server itself.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("audit.record() belongs into the transaction of the deed that it records")
    if not _ACTION.fullmatch(action):
        raise ValueError(f"an action reads noun.verbed, not {action!r}")
    detail = dict(detail or {})
    _refuse_prose(detail)
    name = get_user_model().objects.filter(pk=actor_id).values_list("username", flat=True).first() if actor_id else ""
    AuditEntry.objects.create(actor_id=actor_id, actor_name=name or "", action=action, object=object[:200], detail=detail)


def _refuse_prose(detail: Mapping[str, object]) -> None:
    for key, value in detail.items():
        parts = value if isinstance(value, list) else [value]
        if len(parts) > MAX_ITEMS or any(isinstance(part, str) and len(part) > MAX_TEXT for part in parts):
            raise ValueError(f"{key} is too long for the audit log; it keeps ids, counts and states")
        if any(not isinstance(part, str | int | float | bool | None) for part in parts):
            raise ValueError(f"{key} is neither a short text nor a number")


@dataclass(frozen=True)
class Sought:
    """What a reader of the log looks for; empty fields do not restrict. Days are days of the site's time zone."""

    actor_id: int | None = None
    actor_is_server: bool = False
    action: str = ""
    object: str = ""
    since: date | None = None
    until: date | None = None


def entries(sought: Sought) -> QuerySet[AuditEntry]:
    """Newest first. The caller has checked the right `read_audit`."""
    found = AuditEntry.objects.order_by("-id")
    if sought.actor_is_server:
        found = found.filter(actor_id__isnull=True)
    elif sought.actor_id is not None:
        found = found.filter(actor_id=sought.actor_id)
    if sought.action:
        found = found.filter(action=sought.action)
    if sought.object:
        found = found.filter(object__icontains=sought.object)
    if sought.since:
        found = found.filter(created_at__gte=timezone.make_aware(datetime.combine(sought.since, time.min)))
    if sought.until:
        found = found.filter(created_at__lt=timezone.make_aware(datetime.combine(sought.until + timedelta(days=1), time.min)))
    return found


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("action").values_list("action", flat=True).distinct())
