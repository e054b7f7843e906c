"""The audit log as administrators read it: filtered, in pages, and as a CSV file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from chatbot.staffing import audit
from chatbot.staffing.models import AuditEntry
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires
from support_portal.downloads import download
from support_portal.insight_pages.spreadsheets import csv_pieces

PAGE_ENTRIES = 50
FILE_ENTRIES = 1000
SERVER = "server"
COLUMNS = ("id", "time", "who_id", "who", "action", "object", "detail")


class AuditFilters(forms.Form):
    who = forms.CharField(required=False, max_length=20)
    action = forms.CharField(required=False, max_length=60)
    object = forms.CharField(required=False, max_length=200)
    since = forms.DateField(required=False)
    until = forms.DateField(required=False)
    before = forms.IntegerField(required=False, min_value=1, max_value=2**62)

    def sought(self) -> audit.Sought:
        """What was understood of it; a filter that was not is told on the page and left out."""
        found: dict[str, Any] = getattr(self, "cleaned_data", {})
        who = found.get("who") or ""
        return audit.Sought(
            actor_id=int(who) if who.isdecimal() and len(who) < 18 else None,
            actor_is_server=who == SERVER,
            action=found.get("action") or "",
            object=found.get("object") or "",
            since=found.get("since"),
            until=found.get("until"),
        )


@requires("read_audit")
@require_GET
def entries(request: HttpRequest) -> HttpResponse:
    form = AuditFilters(request.GET)
    form.is_valid()
    found = audit.entries(form.sought())
    before = form.cleaned_data.get("before")
    page = list((found.filter(pk__lt=before) if before else found)[: PAGE_ENTRIES + 1])
    chosen = {name: value for name, value in request.GET.items() if name in form.fields and name != "before" and value}
    context = {
        "section": "people",
        "tab": "audit",
        "form": form,
        "chosen": chosen,
        "entries": page[:PAGE_ENTRIES],
        "older": urlencode({**chosen, "before": page[PAGE_ENTRIES - 1].pk}) if len(page) > PAGE_ENTRIES else "",
        "newest": urlencode(chosen) if before else "",
        "paged": bool(before),
        "query": urlencode(chosen),
        "actions": audit.actions(),
        "people": User.objects.order_by("username"),
    }
    return render(request, "accounts/audit.html", context)


@requires("read_audit")
@require_GET
def export(request: HttpRequest) -> HttpResponseBase:
    """Every entry that the filters leave, as CSV; read in pieces, so that a long log costs no memory."""
    form = AuditFilters(request.GET)
    form.is_valid()
    pieces = csv_pieces(COLUMNS, _rows(form.sought()))
    return download(request, pieces, name=f"audit-{timezone.localdate()}.csv", content_type="text/csv; charset=utf-8")


def _rows(sought: audit.Sought) -> Iterator[tuple[str, ...]]:
    before = None
    while True:
        found = audit.entries(sought)
        piece = list((found.filter(pk__lt=before) if before else found)[:FILE_ENTRIES])
        yield from map(_cells, piece)
        if len(piece) < FILE_ENTRIES:
            return
        before = piece[-1].pk


def _cells(entry: AuditEntry) -> tuple[str, ...]:
    who = str(entry.actor_id) if entry.actor_id is not None else ""
    detail = json.dumps(entry.detail, ensure_ascii=False) if entry.detail else ""
    return (str(entry.pk), entry.created_at.isoformat(), who, entry.actor_name, entry.action, entry.object, detail)
