"""The conversations of a period as a file, one row each. What was written in them goes only to who may read it and asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from chatbot.insights import exporting
from chatbot.insights.exporting import Cell
from chatbot.staffing.audit import record
from support_portal.accounts.models import User
from support_portal.accounts.roles import may, requires
from support_portal.downloads import download
from support_portal.insight_pages import words
from support_portal.insight_pages.selecting import Chosen, choose
from support_portal.insight_pages.spreadsheets import csv_pieces, xlsx_pieces

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Pieces = Callable[[Sequence[str], Iterable[Sequence[Cell]]], Iterator[bytes]]


@requires("read_insights")
@require_GET
def export(request: HttpRequest) -> HttpResponse:
    """What the file will hold, before it is made."""
    chosen = choose(request)
    context = {
        "section": "insights",
        "chosen": chosen,
        "fields": [(name, value) for name, value in request.GET.items() if name != "text"],
        "back_query": chosen.query(),
        "period_name": words.period_name(chosen.selection.period),
        "rows": exporting.count(chosen.selection),
        "columns": exporting.columns(with_text=False),
    }
    return render(request, "insights/export.html", context)


@requires("read_insights")
@require_GET
def csv_file(request: HttpRequest) -> StreamingHttpResponse:
    return _file(request, csv_pieces, ending="csv", content_type="text/csv; charset=utf-8")


@requires("read_insights")
@require_GET
def xlsx_file(request: HttpRequest) -> StreamingHttpResponse:
    return _file(request, xlsx_pieces, ending="xlsx", content_type=XLSX)


def _file(request: HttpRequest, pieces: Pieces, *, ending: str, content_type: str) -> StreamingHttpResponse:
    user = request.user
    assert isinstance(user, User)  # `requires` has let nobody else in.
    with_text = request.GET.get("text") == "1"
    if with_text and not may(user, "read_conversations"):
        raise PermissionDenied
    chosen = choose(request)
    _note(user, chosen, with_text=with_text, ending=ending)
    parts = pieces(exporting.columns(with_text=with_text), exporting.rows(chosen.selection, with_text=with_text))
    period = chosen.selection.period
    name = f"conversations-{period.first}-{period.last}.{ending}"
    response = download(request, parts, name=name, content_type=content_type)
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def _note(user: User, chosen: Chosen, *, with_text: bool, ending: str) -> None:
    """Data leaves the house: the audit log says who took what."""
    period = chosen.selection.period
    rows = exporting.count(chosen.selection)
    detail: dict[str, str | int] = {"from": str(period.first), "until": str(period.last), "rows": rows, "text": with_text}
    with transaction.atomic():
        record(user.pk, "insights.exported", object=ending, detail=detail)
