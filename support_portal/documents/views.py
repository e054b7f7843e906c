"""Pages for documents: upload, see how far the reading is, look at the passages, put away, judge suggested FAQs."""

from __future__ import annotations

from typing import cast
from urllib.parse import quote

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from chatbot.answering.language import direction
from chatbot.documents import access, shelf
from chatbot.documents.models import Document
from chatbot.errors import ChatbotError, NotFound
from chatbot.knowledge import authoring
from chatbot.rendering import render_markdown
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires
from support_portal.documents.forms import UploadForm

PAGE_PASSAGES = 50
PAGE_DOCUMENTS = 100


@requires("read_faqs")
@require_GET
def documents(request: HttpRequest) -> HttpResponse:
    return _list_page(request, form=UploadForm())


def _list_page(request: HttpRequest, *, form: UploadForm, status: int = 200) -> HttpResponse:
    sought = request.GET.get("q", "")[:200]
    page = Paginator(access.documents_for_staff(text=sought), PAGE_DOCUMENTS).get_page(request.GET.get("page"))
    context = {
        "section": "faqs",
        "form": form,
        "page": page,
        "page_link": f"?q={quote(sought)}&" if sought else "?",
        "q": sought,
        "moving": any(document.is_moving for document in page),
    }
    return render(request, "documents/documents.html", context, status=status)


@requires("edit_faqs")
@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    """Store the file; a worker reads it."""
    form = UploadForm(request.POST, request.FILES)
    if not form.is_valid():
        return _list_page(request, form=form, status=400)
    file = form.cleaned_data["file"]
    try:
        made = shelf.upload_document(
            file.name, file.read(), author=cast(User, request.user), max_bytes=settings.DOCUMENT_MAX_BYTES
        )
    except ChatbotError as error:
        form.add_error("file", error.message)
        return _list_page(request, form=form, status=400)
    if made.revision > 1:
        messages.success(
            request, f"{made.name} is uploaded as revision {made.revision}. The one before answers until it is ready."
        )
    else:
        messages.success(request, f"{made.name} is uploaded and will be read in a moment.")
    return redirect("documents:document", document_id=made.pk)


@requires("read_faqs")
@require_GET
def document(request: HttpRequest, *, document_id: int) -> HttpResponse:
    found = _document(document_id)
    page = Paginator(access.passages_of(found), PAGE_PASSAGES).get_page(request.GET.get("page"))
    context = {
        "section": "faqs",
        "document": found,
        "page": page,
        "page_link": "?",
        "suggestions": [(s, render_markdown(s.faq.answer)) for s in access.suggestions_of(found)],
        "has_file": found.files.exists(),
        "moving": found.is_moving,
    }
    return render(request, "documents/document.html", context)


@requires("read_faqs")
@require_GET
def passage(request: HttpRequest, *, passage_id: int) -> HttpResponse:
    """One passage as it was cited, replaced ones too."""
    try:
        found = access.access_passage_as_staff(passage_id)
    except NotFound as error:
        raise Http404(error.message) from error
    context = {
        "section": "faqs",
        "passage": found,
        "document": found.document,
        "replaced": found.revision != found.document.live_revision,
        "html": render_markdown(found.text),
        "dir": direction(found.text),
    }
    return render(request, "documents/passage.html", context)


@requires("edit_faqs")
@require_GET
def file(request: HttpRequest, *, document_id: int) -> HttpResponse:
    """The file as it was uploaded; always to be saved, never shown inside the site."""
    found = _document(document_id)
    content = access.file_of(found)
    if content is None:
        raise Http404("The file is gone.")
    response = HttpResponse(content, content_type="application/octet-stream")
    response["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(found.name, safe='')}"
    response["X-Content-Type-Options"] = "nosniff"
    return response


@requires("edit_faqs")
@require_POST
def archive(request: HttpRequest, *, document_id: int) -> HttpResponse:
    found = _document(document_id)
    shelf.archive_document(found.pk, author=cast(User, request.user))
    messages.success(request, f"{found.name} is archived: the bot does not use it.")
    return redirect("documents:document", document_id=found.pk)


@requires("edit_faqs")
@require_POST
def restore(request: HttpRequest, *, document_id: int) -> HttpResponse:
    found = _document(document_id)
    try:
        shelf.restore_document(found.pk, author=cast(User, request.user))
    except ChatbotError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{found.name} is back: the bot uses it within a few seconds.")
    return redirect("documents:document", document_id=found.pk)


@requires("edit_faqs")
@require_POST
def delete(request: HttpRequest, *, document_id: int) -> HttpResponse:
    found = _document(document_id)
    shelf.delete_document(found.pk, author=cast(User, request.user))
    messages.success(request, f"{found.name} is deleted, with its file and all passages.")
    return redirect("documents:list")


@requires("edit_faqs")
@require_POST
def suggest(request: HttpRequest, *, document_id: int) -> HttpResponse:
    found = _document(document_id)
    try:
        shelf.ask_for_suggestions(found.pk)
    except ChatbotError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "The model drafts FAQs from this document. They appear below as they are written.")
    return redirect("documents:document", document_id=found.pk)


@requires("edit_faqs")
@require_POST
def judge(request: HttpRequest, *, document_id: int, faq_id: int) -> HttpResponse:
    """Publish a suggested FAQ, or throw it away (it is archived, so that it is not suggested again)."""
    found = _document(document_id)
    suggestion = access.suggestions_of(found).filter(faq_id=min(faq_id, 2**63 - 1)).first()
    if suggestion is None:
        raise Http404("This suggestion does not exist any more.")
    act = authoring.publish_faq if request.POST.get("action") == "publish" else authoring.archive_faq
    try:
        act(suggestion.faq_id, author=cast(User, request.user))
    except ChatbotError as error:
        messages.error(request, error.message)
    else:
        published = request.POST.get("action") == "publish"
        messages.success(request, "Published. The bot uses it within a few seconds." if published else "Thrown away.")
    return redirect("documents:document", document_id=found.pk)


def _document(document_id: int) -> Document:
    try:
        return access.access_document_as_staff(document_id)
    except NotFound as error:
        raise Http404(error.message) from error
