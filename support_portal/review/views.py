"""Review: answers worth a look, one key a verdict, second opinions, and the correction that changes what the bot knows."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatbot.answering.language import direction
from chatbot.assist import correcting
from chatbot.conversations.texts import preview_of
from chatbot.errors import ChatbotError, InvalidInput, NotFound
from chatbot.learning import reviews, worth_a_look
from chatbot.learning.agreement import agreement
from chatbot.learning.review_models import AnswerReview, ReviewItem
from chatbot.learning.reviews import Filters, Opened, Place
from chatbot.rendering import render_markdown
from support_portal.accounts.models import User
from support_portal.accounts.roles import may, people_with, requires
from support_portal.desk.why import explain
from support_portal.review.forms import CorrectionForm, initial_of

KEYS = {"right": "r", "wrong": "w", "incomplete": "i", "outdated": "o", "unsafe": "u"}
BADGES = {"right": "success", "wrong": "danger", "incomplete": "warning", "outdated": "warning", "unsafe": "danger"}
STATES = [
    ("open", "To review"),
    ("asked", "Asked of you"),
    ("mine", "Judged by you"),
    ("disagreed", "Disagreed"),
    ("judged", "All judged"),
]
SNIPPET_CHARS = 200
FAQS_SHOWN = 3


@requires("review_answers")
@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    person, filters = _person(request), _filters(request)
    try:
        before = Place.parse(request.GET["before"]) if request.GET.get("before") else None
        found = reviews.items(filters, person_id=person.pk, before=before)
    except InvalidInput as error:
        raise Http404(error.message) from error
    page, more = found[: reviews.PAGE_ITEMS], len(found) > reviews.PAGE_ITEMS
    counts, waiting = reviews.counts(person.pk), reviews.reasons_open(person.pk)
    context = {
        "section": "review",
        "tab": "queue",
        "rows": [_row(item, person=person) for item in page],
        "filters": filters,
        "states": [(value, label, counts.get(value), _link(filters, state=value)) for value, label in STATES],
        "reasons": [(value, label, waiting[value]) for value, label in ReviewItem.Reason.choices],
        "locales": reviews.locales(),
        "verdicts": AnswerReview.Verdict.choices,
        "list_query": _link(filters),
        "undo": _undo(request),
        "next_page": _link(filters, before=str(Place(page[-1].weight, page[-1].pk))) if more else "",
        "first_page": _link(filters) if before else "",
        "filtered": any((filters.reason, filters.locale, filters.verdict)),
    }
    return render(request, "review/queue.html", context)


@requires("review_answers")
@require_GET
def item(request: HttpRequest, *, item_id: int) -> HttpResponse:
    opened = _open(request, item_id)
    faqs = correcting.faqs_to_choose(opened.generation)[:FAQS_SHOWN]
    return render(
        request,
        "review/item.html",
        _item_context(request, opened) | {"faqs": [(faq, render_markdown(faq.answer)) for faq in faqs]},
    )


@requires("review_answers")
@require_GET
def of_message(request: HttpRequest, *, message_id: UUID) -> HttpResponse:
    """From a transcript: the answer of this reply, put on the list if it is not there yet."""
    found = worth_a_look.add_message(message_id)
    if found is None:
        raise Http404("This answer does not exist or is not finished.")
    return redirect("review:item", item_id=found.pk)


@requires("review_answers")
@require_POST
def mark(request: HttpRequest, *, item_id: int) -> HttpResponse:
    person, filters = _person(request), _filters(request)
    verdict = request.POST.get("verdict", "")
    try:
        # Found before the verdict takes this answer off the list.
        following = reviews.next_item(filters, person_id=person.pk, after=reviews.access_item(item_id))
        marked = reviews.mark(item_id, person_id=person.pk, verdict=verdict)
    except NotFound as error:
        raise Http404(error.message) from error
    except InvalidInput as error:
        messages.error(request, error.message)
        return redirect(_address("review:item", item_id, filters))
    messages.success(request, f"Marked “{marked.review.get_verdict_display()}”. {_heard(marked)}".strip())
    if following is None:
        return redirect(reverse("review:queue") + _link(filters, undo=str(item_id)))
    return redirect(reverse("review:item", args=[following]) + _link(filters, undo=str(item_id)))


@requires("review_answers")
@require_POST
def unmark(request: HttpRequest, *, item_id: int) -> HttpResponse:
    try:
        reviews.unmark(item_id, person_id=_person(request).pk)
    except NotFound as error:
        raise Http404(error.message) from error
    messages.success(request, "Your verdict is taken back.")
    return redirect(_address("review:item", item_id, _filters(request)))


@requires("review_answers")
@require_POST
def ask(request: HttpRequest, *, item_id: int) -> HttpResponse:
    chosen = [int(value) for value in request.POST.getlist("people") if value.isascii() and value.isdigit() and len(value) < 10]
    known = set(people_with("review_answers").values_list("pk", flat=True))
    try:
        count = reviews.ask(item_id, people=[pk for pk in chosen if pk in known], by_id=_person(request).pk)
    except NotFound as error:
        raise Http404(error.message) from error
    except InvalidInput as error:
        messages.error(request, error.message)
    else:
        who = "They find it under “Asked of you”." if count else "They have been asked, or have said it, already."
        messages.success(request, who)
    return redirect(_address("review:item", item_id, _filters(request)))


@requires("review_answers")
@require_http_methods(["GET", "POST"])
def correct(request: HttpRequest, *, item_id: int) -> HttpResponse:
    person, opened = _person(request), _open(request, item_id)
    faqs = correcting.faqs_to_choose(opened.generation)
    if request.method == "POST":
        form = CorrectionForm(request.POST, faqs=faqs)
        if form.is_valid() and (response := _corrected(request, form, item_id=item_id)):
            return response
    else:
        initial = initial_of(opened, faqs=faqs, verdict=request.GET.get("verdict", ""))
        form = CorrectionForm(initial=initial, faqs=faqs)
    context = _item_context(request, opened) | {
        "form": form,
        "faqs": faqs,
        "may_edit": may(person, "edit_faqs"),
        "correction": getattr(opened.item, "correction", None),
    }
    return render(request, "review/correct.html", context)


@requires("review_answers")
@require_GET
def agreement_page(request: HttpRequest) -> HttpResponse:
    found = agreement()
    labels = [label for _, label in AnswerReview.Verdict.choices]
    rows = [(dict(AnswerReview.Verdict.choices)[verdict], counts) for verdict, counts in found.table()]
    context = {"section": "review", "tab": "agreement", "found": found, "labels": labels, "rows": rows}
    return render(request, "review/agreement.html", context)


def _corrected(request: HttpRequest, form: CorrectionForm, *, item_id: int) -> HttpResponse | None:
    """Save all of it, or show on the form why nothing was saved."""
    person, filters = _person(request), _filters(request)
    following = reviews.next_item(filters, person_id=person.pk, after=reviews.access_item(item_id))
    try:
        done = correcting.correct(item_id, wishes=form.wishes(), author=person, may_edit=may(person, "edit_faqs"))
    except ChatbotError as error:
        field = {"answer": "better", "phrasings": "phrasing", "text": "phrasing", "expected": "faq"}.get(error.field, error.field)
        form.add_error(field if field in form.fields else None, error.message)
        return None
    messages.success(request, " ".join(["Corrected.", *done.done]))
    if following is None:
        return redirect(reverse("review:queue") + _link(filters))
    return redirect(_address("review:item", following, filters))


def _item_context(request: HttpRequest, opened: Opened) -> dict[str, Any]:
    filters, generation = _filters(request), opened.generation
    numbers = [citation.number for citation in opened.citations]
    asked = {wish.asked_id for wish in opened.requests}
    return {
        "section": "review",
        "tab": "queue",
        "opened": opened,
        "why": explain(generation),
        "html": render_markdown(generation.text, citations=numbers),
        "dir": direction(generation.text),
        "verdicts": [(value, label, KEYS[value], BADGES[value]) for value, label in AnswerReview.Verdict.choices],
        "reasons": _labels(opened.item.reasons),
        "reviewers": people_with("review_answers").exclude(pk__in=[_person(request).pk, *asked]),
        "list_query": _link(filters),
        "undo": _undo(request),
    }


def _undo(request: HttpRequest) -> int | None:
    """The answer that was judged a moment ago."""
    told = request.GET.get("undo", "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 16 else None


def _row(found: ReviewItem, *, person: User) -> dict[str, Any]:
    generation = found.generation
    question = generation.reply.in_reply_to
    said = list(found.reviews.all())
    own = next((review for review in said if review.reviewer_id == person.pk), None)
    return {
        "item": found,
        "question": question.text[:SNIPPET_CHARS] if question else "",
        "answer": preview_of(generation.text),
        "reasons": _labels(found.reasons),
        "own": own,
        "badge": BADGES.get(own.verdict, "") if own else "",
        "others": [review for review in said if review is not own] if own else [],
        "corrected": hasattr(found, "correction"),
    }


def _labels(reasons: list[str]) -> list[str]:
    names = dict(ReviewItem.Reason.choices)
    return [str(names.get(reason, reason)) for reason in sorted(reasons, key=lambda one: -worth_a_look.WEIGHTS.get(one, 0))]


def _heard(marked: reviews.Marked) -> str:
    """What others say, now that one's own verdict is given."""
    if not marked.others:
        return ""
    told = ", ".join(f"{review.reviewer.display_name}: {review.get_verdict_display()}" for review in marked.others)
    same = all(review.verdict == marked.review.verdict for review in marked.others)
    return f"{'You agree' if same else 'You do not agree'} ({told})."


def _open(request: HttpRequest, item_id: int) -> Opened:
    try:
        return reviews.open_item(item_id, person_id=_person(request).pk)
    except NotFound as error:
        raise Http404(error.message) from error


def _filters(request: HttpRequest) -> Filters:
    told = {name: request.GET.get(name, "") for name in ("state", "reason", "locale", "verdict")}
    if told["state"] and told["state"] not in reviews.STATES:
        raise Http404("There is no such list.")
    if told["reason"] and told["reason"] not in ReviewItem.Reason.values:
        raise Http404("There is no such reason.")
    if told["verdict"] and told["verdict"] not in AnswerReview.Verdict.values:
        told["verdict"] = ""
    return Filters(**(told | {"state": told["state"] or "open"}))


def _link(filters: Filters, **more: str) -> str:
    named = {"state": filters.state, "reason": filters.reason, "locale": filters.locale, "verdict": filters.verdict} | more
    if named["state"] == "open":
        named["state"] = ""
    told = urlencode({name: value for name, value in named.items() if value})
    return f"?{told}" if told else ""


def _address(name: str, item_id: int, filters: Filters) -> str:
    return reverse(name, args=[item_id]) + _link(filters)


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)
