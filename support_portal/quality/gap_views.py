"""Gaps: what customers ask in vain, what to do about it, and whether that helped."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatbot.answering.grounding import renumber
from chatbot.answering.language import detect, same_language
from chatbot.errors import ChatbotError, InvalidInput, NotFound
from chatbot.knowledge.authoring import create_faq, free_key
from chatbot.quality import gaps as gap_list
from chatbot.quality import trials
from chatbot.quality.asked import Asked
from chatbot.quality.gaps import GapView
from chatbot.quality.models import Gap
from chatbot.quality.starting import gather_now, start_trial
from chatbot.quality.trials import Trial
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires
from support_portal.quality.forms import DraftForm


@requires("check_answers")
@require_GET
def gaps(request: HttpRequest) -> HttpResponse:
    status = request.GET.get("status", Gap.Status.OPEN)
    try:
        found = gap_list.list_gaps(status=status)
    except InvalidInput as error:
        raise Http404(error.message) from error
    numbers = gap_list.counts()
    context = {
        "section": "quality",
        "tab": "gaps",
        "gaps": found,
        "status": status,
        "lists": [(value, label, numbers[value]) for value, label in Gap.Status.choices],
        "questions": sum(view.volume for view in found),
    }
    return render(request, "quality/gaps.html", context)


@requires("check_answers")
@require_POST
def gather(request: HttpRequest) -> HttpResponse:
    try:
        gather_now()
    except ChatbotError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "Looking through the last 30 days now. Load this page again in a moment.")
    return redirect("quality:gaps")


@requires("check_answers")
@require_GET
def gap(request: HttpRequest, *, gap_id: int) -> HttpResponse:
    return render(request, "quality/gap.html", {"section": "quality", "tab": "gaps", "view": _gap(gap_id)})


@requires("check_answers")
@require_POST
def decide(request: HttpRequest, *, gap_id: int) -> HttpResponse:
    try:
        status, reason = request.POST.get("status", ""), request.POST.get("reason", "")
        gap_list.decide_gap(gap_id, status=status, reason=reason, author=cast(User, request.user))
    except NotFound as error:
        raise Http404(error.message) from error
    except ChatbotError as error:
        messages.error(request, f"Nothing was changed: {error.message}")
        return redirect("quality:gap", gap_id=gap_id)
    messages.success(request, "The gap is open again." if status == Gap.Status.OPEN else f"The gap is {status}.")
    return redirect("quality:gaps")


@requires("check_answers")
@require_http_methods(["GET", "POST"])
def draft(request: HttpRequest, *, gap_id: int) -> HttpResponse:
    """Write the missing FAQ, with the customers' own words in place. ?trial= brings the model's proposal for the answer."""
    view, proposed = _gap(gap_id), _proposal(request)
    if request.method != "POST":
        return _draft_page(request, view, DraftForm(initial=_initial(view, proposed)), proposed)
    form = DraftForm(request.POST)
    if form.is_valid():
        author = cast(User, request.user)
        try:
            made = create_faq(
                form.cleaned_data["key"],
                locale=form.cleaned_data["locale"],
                text=form.words(),
                author=author,
                publish=request.POST.get("action") == "publish",
                note="written for a gap",
            )
        except ChatbotError as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            gap_list.faq_written(gap_id, faq=made, author=author)
            messages.success(request, "Saved. The gap is handled; its page shows whether the question comes back.")
            return redirect("faqs:faq", faq_id=made.pk)
    return _draft_page(request, view, form, proposed)


@requires("check_answers")
@require_POST
def propose(request: HttpRequest, *, gap_id: int) -> HttpResponse:
    """Ask the pipeline the most central question; only what published knowledge supports becomes a proposal."""
    view = _gap(gap_id)
    try:
        asked = Asked(text=view.title, locale=view.languages[0][0] if view.languages else "en", judged=False)
        token = start_trial(asked, user_id=cast(User, request.user).pk)
    except ChatbotError as error:
        messages.error(request, error.message)
        return redirect("quality:gap_draft", gap_id=gap_id)
    response = redirect("quality:gap_draft", gap_id=gap_id)
    response["Location"] += f"?trial={token}"
    return response


def _gap(gap_id: int) -> GapView:
    try:
        return gap_list.access_gap(gap_id)
    except NotFound as error:
        raise Http404(error.message) from error


def _proposal(request: HttpRequest) -> Trial | None:
    token = request.GET.get("trial", "")
    try:
        return trials.read_trial(token, user_id=cast(User, request.user).pk) if token else None
    except ChatbotError:
        return None


def _initial(view: GapView, proposed: Trial | None) -> dict[str, str]:
    language = detect(view.title, fallback=view.languages[0][0] if view.languages else "en")
    others = [
        row.message.text
        for row in view.examples
        if row.message.text != view.title and same_language(detect(row.message.text, fallback=row.locale), language)
    ]
    return {
        "key": free_key(view.title),
        "locale": language,
        "question": " ".join(view.title.split())[:500],
        "phrasings": "\n".join(dict.fromkeys(" ".join(text.split())[:500] for text in others[:10])),
        "answer": _answer_of(proposed),
    }


def _answer_of(proposed: Trial | None) -> str:
    """The proposal without its marks; empty where published knowledge answers nothing."""
    told = proposed.result if proposed else None
    if not told or told["decision"] not in ("direct", "compose") or not told["citations"]:
        return ""
    return renumber(told["text"], numbers={})


def _draft_page(request: HttpRequest, view: GapView, form: DraftForm, proposed: Trial | None) -> HttpResponse:
    context: dict[str, Any] = {
        "section": "quality",
        "tab": "gaps",
        "view": view,
        "form": form,
        "proposed": proposed,
        "has_proposal": bool(_answer_of(proposed)),
        "trial_token": request.GET.get("trial", ""),
    }
    return render(request, "quality/draft.html", context)
