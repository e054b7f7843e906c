"""FAQ pages: find, read, write, review, publish, archive; see who changed what and bring an earlier state back."""

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
from chatbot.insights.faq_usage import WINDOW_DAYS, usage_of
from chatbot.knowledge.access import access_faq_as_staff, categories, locales, revisions_of
from chatbot.knowledge.authoring import confirm_translation, revert_faq
from chatbot.knowledge.models import MAX_ANSWER_CHARS, Faq
from chatbot.rendering import render_markdown
from support_portal.accounts.models import User
from support_portal.accounts.roles import may, requires
from support_portal.faqs import editor, listing, saving
from support_portal.faqs.forms import FaqForm

PAGE_FAQS = 50


@requires("read_faqs")
@require_GET
def faqs(request: HttpRequest) -> HttpResponse:
    chosen = listing.Chosen.from_query(request.GET.dict())
    page = Paginator(listing.find_faqs(chosen).values_list("pk", flat=True), PAGE_FAQS).get_page(request.GET.get("page"))
    narrowed = chosen.query
    context = {
        "section": "faqs",
        "page": page,
        "rows": listing.page_rows(list(page.object_list)),
        "page_link": "?" + urlencode(narrowed) + ("&" if narrowed else ""),
        "query": urlencode(narrowed),
        "chosen": chosen,
        "filtered": chosen.narrows,
        "statuses": Faq.Status.choices,
        "attentions": listing.ATTENTIONS,
        "orders": listing.ORDERS,
        "owners": listing.editors(),
        "locales": locales(),
        "categories": categories(),
        "window_days": WINDOW_DAYS,
    }
    return render(request, "faqs/faqs.html", context)


@requires("edit_faqs")
@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _form_page(request, form=_form_of_a_new_one(request))
    form = FaqForm(request.POST)
    action = request.POST.get("action", "save")
    if form.is_valid():
        try:
            made = saving.create(form.cleaned_data, action=action, author=cast(User, request.user))
        except ChatbotError as error:
            _show_error(form, error)
        else:
            messages.success(request, saving.said_of(made, action=action))
            return redirect("faqs:faq", faq_id=made.pk)
    return _form_page(request, form=form, typed=True)


@requires("read_faqs")
@require_http_methods(["GET", "POST"])
def faq(request: HttpRequest, *, faq_id: int) -> HttpResponse:
    """Read it, or edit it if that is one's right."""
    found = _faq(faq_id)
    if may(cast(User, request.user), "edit_faqs"):
        return _save(request, found) if request.method == "POST" else _form_page(request, form=editor.form_of(found), faq=found)
    if request.method == "POST":
        raise PermissionDenied
    context = {
        "section": "faqs",
        "faq": found,
        "html": render_markdown(found.answer),
        "dir": direction(found.answer),
        "usage": usage_of([found])[found.pk],
        "dates": listing.dates_of(found),
        "window_days": WINDOW_DAYS,
    }
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
        saved = revert_faq(faq_id, number=number, expected_revision=_expected_revision(request), author=cast(User, request.user))
    except NotFound as error:
        raise Http404(error.message) from error
    except ChatbotError as error:
        messages.error(request, f"Nothing was restored: {error.message}")
        return redirect("faqs:history", faq_id=faq_id)
    waits = " It waits for a review before customers read it." if saved.change_status == Faq.Status.REVIEW else ""
    messages.success(request, f"Revision {number} is restored.{waits}")
    return redirect("faqs:faq", faq_id=faq_id)


@requires("edit_faqs")
@require_POST
def still_right(request: HttpRequest, *, faq_id: int) -> HttpResponse:
    """Say that a translation needs no change although its original got one."""
    try:
        confirm_translation(faq_id, expected_revision=_expected_revision(request), author=cast(User, request.user))
    except NotFound as error:
        raise Http404(error.message) from error
    except ChatbotError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "Noted: this text still says what its original says.")
    return redirect("faqs:faq", faq_id=faq_id)


def _save(request: HttpRequest, found: Faq) -> HttpResponse:
    form = FaqForm(request.POST, faq=found)
    expected, action = _expected_revision(request), request.POST.get("action", "save")
    if action == "discard":
        form.fields["question"].required = form.fields["answer"].required = False
    if not form.is_valid():
        return _form_page(request, form=form, faq=found, expected_revision=expected, typed=True)
    try:
        saved = saving.save(found, form.cleaned_data, expected_revision=expected, action=action, author=cast(User, request.user))
    except Conflict:
        return _conflict_page(request, form=form, faq_id=found.pk)
    except ChatbotError as error:
        _show_error(form, error)
        return _form_page(request, form=form, faq=found, expected_revision=expected, typed=True)
    messages.success(request, saving.said_of(saved, action=action))
    return redirect("faqs:faq", faq_id=saved.pk)


def _conflict_page(request: HttpRequest, *, form: FaqForm, faq_id: int) -> HttpResponse:
    """Keep the typed text, say who was quicker and what they changed. Saving again then means: mine is right."""
    current = _faq(faq_id)
    newest = revisions_of(current).first()
    began_with = revisions_of(current).filter(number=_expected_revision(request)).first()
    parts = listing.changed_parts(began_with, newest) if newest and began_with else []
    conflict = {"newest": newest, "parts": parts}
    return _form_page(request, form=form, faq=current, conflict=conflict, typed=True, status=409)


def _form_page(
    request: HttpRequest,
    *,
    form: FaqForm,
    faq: Faq | None = None,
    expected_revision: int | None = None,
    conflict: dict[str, Any] | None = None,
    typed: bool = False,
    status: int = 200,
) -> HttpResponse:
    """typed: the form holds what is not saved yet."""
    answer = str(form["answer"].value() or "")[:MAX_ANSWER_CHARS]
    key, locale = (faq.key, faq.locale) if faq else (str(form["key"].value() or ""), str(form["locale"].value() or ""))
    # A key that could not be one would only be searched in vain; NUL cannot even be searched for.
    key = "" if "\x00" in key else key
    context = {
        "section": "faqs",
        "form": form,
        "faq": faq,
        "typed": typed,
        "expected_revision": expected_revision or (faq.latest_revision if faq else 0),
        "conflict": conflict,
        "preview_html": render_markdown(answer),
        "preview_dir": direction(answer),
        "locales": locales(),
        "categories": categories(),
        "window_days": WINDOW_DAYS,
        **editor.beside(faq, key=key, locale=locale, user=cast(User, request.user)),
    }
    return render(request, "faqs/form.html", context, status=status)


def _form_of_a_new_one(request: HttpRequest) -> FaqForm:
    """Empty, or the beginning of a translation: what the address brings of key, locale and category."""
    given = {name: request.GET.get(name, "")[:200] for name in ("key", "locale", "category", "question")}
    user = cast(User, request.user)
    return FaqForm(initial={name: value for name, value in given.items() if value} | {"owner": str(user.pk)})


def _faq(faq_id: int) -> Faq:
    try:
        return access_faq_as_staff(faq_id)
    except NotFound as error:
        raise Http404(error.message) from error


def _expected_revision(request: HttpRequest) -> int:
    """The revision the page was made from; 0, which none has, where the form does not say."""
    value = request.POST.get("expected_revision", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0


def _show_error(form: FaqForm, error: ChatbotError) -> None:
    form.add_error(error.field if error.field in form.fields else None, error.message)
