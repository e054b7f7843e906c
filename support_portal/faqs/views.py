"""FAQ pages: find, read, write, publish, archive; see who changed what and bring an earlier state back."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatbot.answering.language import direction
from chatbot.errors import ChatbotError, Conflict, NotFound
from chatbot.knowledge.access import access_faq_as_staff, categories, revisions_of
from chatbot.knowledge.authoring import revert_faq
from chatbot.knowledge.models import MAX_ANSWER_CHARS, Faq
from chatbot.rendering import render_markdown
from support_portal.accounts.models import User
from support_portal.accounts.roles import may, requires
from support_portal.faqs import listing, saving
from support_portal.faqs.forms import FaqForm

PAGE_FAQS = 50
_DONE = {
    Faq.Status.DRAFT: "Saved. It is a draft: the bot does not use it.",
    Faq.Status.PUBLISHED: "Saved and published. The bot uses it within a few seconds.",
    Faq.Status.ARCHIVED: "Saved. It is archived: the bot does not use it.",
}


@requires("read_faqs")
@require_GET
def faqs(request: HttpRequest) -> HttpResponse:
    chosen = listing.Chosen.from_query(request.GET.dict())
    page = Paginator(listing.find_faqs(chosen), PAGE_FAQS).get_page(request.GET.get("page"))
    narrowed = {name: value for name, value in vars(chosen).items() if value}
    context = {
        "section": "faqs",
        "page": page,
        "page_link": "?" + urlencode(narrowed) + ("&" if narrowed else ""),
        "chosen": chosen,
        "filtered": bool(narrowed),
        "statuses": Faq.Status.choices,
        "locales": listing.locales_in_use(),
        "categories": categories(),
    }
    return render(request, "faqs/faqs.html", context)


@requires("edit_faqs")
@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    form = FaqForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = saving.create(form.cleaned_data, action=request.POST.get("action", "save"), author=cast(User, request.user))
        except ChatbotError as error:
            _show_error(form, error)
        else:
            messages.success(request, _DONE[Faq.Status(made.status)])
            return redirect("faqs:faq", faq_id=made.pk)
    return _form_page(request, form=form)


@requires("read_faqs")
@require_http_methods(["GET", "POST"])
def faq(request: HttpRequest, *, faq_id: int) -> HttpResponse:
    """Read it, or edit it if that is one's right."""
    found = _faq(faq_id)
    if may(cast(User, request.user), "edit_faqs"):
        return _save(request, found) if request.method == "POST" else _form_page(request, form=_form_of(found), faq=found)
    if request.method == "POST":
        raise PermissionDenied
    context = {"section": "faqs", "faq": found, "html": render_markdown(found.answer), "dir": direction(found.answer)}
    return render(request, "faqs/faq.html", context)


@requires("edit_faqs")
@require_POST
def preview(request: HttpRequest) -> JsonResponse:
    answer = request.POST.get("answer", "")
    if len(answer) > MAX_ANSWER_CHARS:
        return JsonResponse({"code": "too_long", "message": f"An answer has at most {MAX_ANSWER_CHARS} characters."}, status=400)
    return JsonResponse({"html": render_markdown(answer), "dir": direction(answer)})


@requires("read_faqs")
@require_GET
def changes(request: HttpRequest, *, faq_id: int) -> HttpResponse:
    found = _faq(faq_id)
    return render(request, "faqs/history.html", {"section": "faqs", "faq": found, "changes": listing.history(found)})


@requires("edit_faqs")
@require_POST
def restore(request: HttpRequest, *, faq_id: int, number: int) -> HttpResponse:
    """Make an earlier revision's words the newest revision; nothing in between is lost."""
    try:
        revert_faq(faq_id, number=number, expected_revision=_expected_revision(request), author=cast(User, request.user))
    except NotFound as error:
        raise Http404(error.message) from error
    except ChatbotError as error:
        messages.error(request, f"Nothing was restored: {error.message}")
        return redirect("faqs:history", faq_id=faq_id)
    messages.success(request, f"Revision {number} is restored.")
    return redirect("faqs:faq", faq_id=faq_id)


def _save(request: HttpRequest, found: Faq) -> HttpResponse:
    form = FaqForm(request.POST, faq=found)
    if not form.is_valid():
        return _form_page(request, form=form, faq=found, expected_revision=_expected_revision(request))
    try:
        saved = saving.save(
            found.pk,
            form.cleaned_data,
            expected_revision=_expected_revision(request),
            action=request.POST.get("action", "save"),
            author=cast(User, request.user),
        )
    except Conflict:
        return _conflict_page(request, form=form, faq_id=found.pk)
    except ChatbotError as error:
        _show_error(form, error)
        return _form_page(request, form=form, faq=found, expected_revision=_expected_revision(request))
    messages.success(request, _DONE[Faq.Status(saved.status)])
    return redirect("faqs:faq", faq_id=saved.pk)


def _conflict_page(request: HttpRequest, *, form: FaqForm, faq_id: int) -> HttpResponse:
    """Keep the typed text, say who was quicker and what they changed. Saving again then means: mine is right."""
    current = _faq(faq_id)
    newest = revisions_of(current).first()
    began_with = revisions_of(current).filter(number=_expected_revision(request)).first()
    parts = listing.changed_parts(began_with, newest) if newest and began_with else []
    conflict = {"newest": newest, "parts": parts}
    return _form_page(request, form=form, faq=current, conflict=conflict, status=409)


def _form_page(
    request: HttpRequest,
    *,
    form: FaqForm,
    faq: Faq | None = None,
    expected_revision: int | None = None,
    conflict: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    answer = str(form["answer"].value() or "")[:MAX_ANSWER_CHARS]
    context = {
        "section": "faqs",
        "form": form,
        "faq": faq,
        "expected_revision": expected_revision or (faq.revision if faq else 0),
        "conflict": conflict,
        "preview_html": render_markdown(answer),
        "preview_dir": direction(answer),
        "locales": listing.locales_in_use(),
        "categories": categories(),
    }
    return render(request, "faqs/form.html", context, status=status)


def _faq(faq_id: int) -> Faq:
    try:
        return access_faq_as_staff(faq_id)
    except NotFound as error:
        raise Http404(error.message) from error


def _form_of(found: Faq) -> FaqForm:
    initial = {name: getattr(found, name) for name in ("key", "locale", "category", "question", "answer")}
    return FaqForm(initial=initial | {"phrasings": "\n".join(found.phrasings)}, faq=found)


def _expected_revision(request: HttpRequest) -> int:
    """The revision the page was made from; 0, which none has, where the form does not say."""
    value = request.POST.get("expected_revision", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0


def _show_error(form: FaqForm, error: ChatbotError) -> None:
    form.add_error(error.field if error.field in form.fields else None, error.message)
