"""One thing done to many FAQs: ticked, counted and shown, then confirmed. All of them change or none."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from chatbot.errors import ChatbotError
from chatbot.knowledge.access import categories, faqs_by_id
from chatbot.knowledge.bulk import MAX_FAQS, change_faqs
from chatbot.knowledge.models import Faq
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires
from support_portal.faqs.forms import BulkForm, revisions_in
from support_portal.faqs.listing import Chosen, find_faqs

SHOWN = 12
_ASKS = {
    "publish": "Publish {n}?",
    "archive": "Archive {n}?",
    "category": "Change the category of {n}",
    "owner": "Change the owner of {n}",
}
_DONE = {"publish": "published", "archive": "archived", "category": "moved to the category", "owner": "given to the owner"}


@requires("edit_faqs")
@require_POST
def look(request: HttpRequest) -> HttpResponse:
    """Count and name what was ticked, or everything found, and ask."""
    action = request.POST.get("action", "")
    if action not in _ASKS:
        messages.error(request, "Choose what to do with the FAQs.")
        return redirect("faqs:list")
    if request.POST.get("everything"):
        chosen = Chosen.from_query(QueryDict(request.POST.get("query", "")[:4000]).dict())
        faqs = list(find_faqs(chosen).only("pk", "revision", "change_number", "status", "question", "locale")[: MAX_FAQS + 1])
    else:
        faqs = list(faqs_by_id(revisions_in(request.POST.getlist("faq"))))
    if not 1 <= len(faqs) <= MAX_FAQS:
        messages.error(request, f"Tick the FAQs first, at most {MAX_FAQS:,} at a time.")
        return redirect("faqs:list")
    form = BulkForm(initial={"action": action, "faqs": ",".join(f"{faq.pk}:{faq.latest_revision}" for faq in faqs)})
    return _ask(request, form=form, action=action, faqs=faqs)


@requires("edit_faqs")
@require_POST
def confirm(request: HttpRequest) -> HttpResponse:
    form = BulkForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was changed: the form was not whole. Please choose again.")
        return redirect("faqs:list")
    action, value = form.cleaned_data["action"], form.value
    try:
        done = change_faqs(form.cleaned_data["faqs"], action=action, value=value, author=cast(User, request.user))
    except ChatbotError as error:
        messages.error(request, f"Nothing was changed. {error.message}")
        return redirect("faqs:list")
    left = f" {done.unchanged} were so already." if done.unchanged else ""
    messages.success(request, f"{_count(done.changed)} {_DONE[action]}.{left}")
    return redirect("faqs:list")


def _ask(request: HttpRequest, *, form: BulkForm, action: str, faqs: list[Faq]) -> HttpResponse:
    published = sum(faq.status == Faq.Status.PUBLISHED for faq in faqs)
    context = {
        "section": "faqs",
        "form": form,
        "action": action,
        "title": _ASKS[action].format(n=_count(len(faqs))),
        "shown": faqs[:SHOWN],
        "more": len(faqs) - SHOWN,
        "published": published,
        "unpublished": len(faqs) - published,
        "archived": sum(faq.status == Faq.Status.ARCHIVED for faq in faqs),
        "with_change": sum(bool(faq.change_number) for faq in faqs),
        "categories": categories(),
    }
    return render(request, "faqs/bulk.html", context)


def _count(number: int) -> str:
    return f"{number:,} FAQ{'' if number == 1 else 's'}"
