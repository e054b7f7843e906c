"""Take FAQs in from a file, after showing what that would change, and give them out as one."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatbot.errors import ChatbotError
from chatbot.knowledge.faq_files import Format, format_of
from chatbot.knowledge.importing import PlannedFaq, export_faqs, import_faqs
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires
from support_portal.downloads import download
from support_portal.faqs.differences import Line, differences
from support_portal.faqs.forms import ImportForm
from support_portal.faqs.pending_import import forget_upload, keep_upload, kept_upload

CONTENT_TYPES: dict[Format, str] = {
    "jsonl": "application/jsonl; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@requires("edit_faqs")
@require_http_methods(["GET", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    """Choose a file; see what it would change."""
    form = ImportForm(request.POST, request.FILES) if request.method == "POST" else ImportForm()
    if request.method != "POST" or not form.is_valid():
        return render(request, "faqs/import.html", {"section": "faqs", "form": form})
    file = form.cleaned_data["file"]
    content, file_format, user = file.read(), format_of(file.name), cast(User, request.user)
    try:
        report = import_faqs(content, format=file_format, author=user, dry_run=True)
        token = "" if report.errors else keep_upload(content, user_id=user.pk)
    except ChatbotError as error:
        form.add_error(None, error.message)
        return render(request, "faqs/import.html", {"section": "faqs", "form": form})
    context = {
        "section": "faqs",
        "report": report,
        "planned": [(planned, _parts_of(planned)) for planned in report.shown],
        "more": report.created + report.changed - len(report.shown),
        "token": token,
        "format": file_format,
        "file_name": file.name,
    }
    return render(request, "faqs/import_preview.html", context)


@requires("edit_faqs")
@require_POST
def confirm(request: HttpRequest) -> HttpResponse:
    """Import what was looked at."""
    user, token = cast(User, request.user), request.POST.get("token", "")
    file_format = _format(request.POST.get("format", ""))
    try:
        report = import_faqs(
            kept_upload(token, user_id=user.pk),
            format=file_format,
            author=user,
            expected_mark=request.POST.get("mark", "") or "none",
        )
    except ChatbotError as error:
        messages.error(request, f"Nothing was imported: {error.message}")
        return redirect("faqs:import")
    if report.errors:
        messages.error(request, "Nothing was imported: the FAQs have changed since you looked. Please choose the file again.")
        return redirect("faqs:import")
    forget_upload(token, user_id=user.pk)
    waits = f" {report.for_review} wait for a review." if report.for_review else ""
    messages.success(
        request, f"Imported: {report.created} new, {report.changed} changed, {report.unchanged} as they were.{waits}"
    )
    return redirect("faqs:list")


@requires("edit_faqs")
@require_GET
def export(request: HttpRequest) -> HttpResponseBase:
    file_format = _format(request.GET.get("format", ""))
    name = f"faqs-{timezone.localdate():%Y-%m-%d}.{file_format}"
    try:
        pieces = iter([b"".join(export_faqs(format="xlsx"))]) if file_format == "xlsx" else export_faqs(format=file_format)
    except ChatbotError as error:
        messages.error(request, error.message)
        return redirect("faqs:import")
    response = download(request, pieces, name=name, content_type=CONTENT_TYPES[file_format])
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _parts_of(planned: PlannedFaq) -> list[tuple[str, list[Line]]]:
    """What the file changes of a FAQ, field by field; nothing for a new one, which is shown as it is."""
    if planned.before is None:
        return []
    before, after = planned.before, planned.after
    fields = [
        ("Status", planned.status_before, planned.status_after),
        ("Category", before.category, after.category),
        ("Question", before.question, after.question),
        ("Other ways to ask it", "\n".join(before.phrasings), "\n".join(after.phrasings)),
        ("Answer", before.answer, after.answer),
    ]
    return [(name, lines) for name, old, new in fields if (lines := differences(old, new))]


def _format(value: str) -> Format:
    return next((known for known in CONTENT_TYPES if known == value), "jsonl")
