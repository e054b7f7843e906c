"""Canned replies: the list, adding, changing and removing them. Agents see what there is; leads and administrators write."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatbot.answering.language import NAMES
from chatbot.assist import canned
from chatbot.assist.canned import Words
from chatbot.assist.models import MAX_CANNED_CHARS, MAX_SHORTCUT_CHARS, MAX_TITLE_CHARS, CannedReply
from chatbot.errors import ChatbotError, NotFound
from chatbot.staffing.access import teams
from support_portal.accounts.models import User
from support_portal.accounts.roles import requires

_EXAMPLE = {
    "customer_name": "Mei",
    "agent_name": "Dana",
    "company_name": "your company",
    "company_phone": "+65 6000 0000",
    "company_email": "help@example.com",
    "conversation_id": "4f1c20ab",
}


class CannedForm(forms.Form):
    shortcut = forms.CharField(
        max_length=MAX_SHORTCUT_CHARS + 1,
        help_text="What agents type after “/”, such as hello or refund-sent.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )
    title = forms.CharField(max_length=MAX_TITLE_CHARS, help_text="What it is for, as agents see it in the list.")
    text = forms.CharField(max_length=MAX_CANNED_CHARS, widget=forms.Textarea(attrs={"rows": 8, "dir": "auto"}))
    locale = forms.ChoiceField(
        label="Language", required=False, help_text="Replies in the customer's language are offered first."
    )
    team = forms.ChoiceField(label="For", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["locale"].choices = [("", "Every language"), *NAMES.items()]  # type: ignore[attr-defined]
        self.fields["team"].choices = [("", "Everybody"), *((str(team.pk), team.name) for team in teams())]  # type: ignore[attr-defined]

    def words(self) -> Words:
        data = self.cleaned_data
        team = int(data["team"]) if data["team"] else None
        return Words(shortcut=data["shortcut"], title=data["title"], text=data["text"], locale=data["locale"], team_id=team)


@requires("read_conversations")
@require_GET
def replies(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "")
    context = {"section": "canned", "replies": canned.all_replies(query=query), "query": query}
    return render(request, "assist/replies.html", context)


@requires("lead_teams")
@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    form = CannedForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            reply = canned.add(form.words(), author=cast(User, request.user))
        except ChatbotError as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            messages.success(request, f"/{reply.shortcut} can be used at once.")
            return redirect("assist:replies")
    return _form_page(request, form)


@requires("lead_teams")
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, *, reply_id: int) -> HttpResponse:
    reply = _reply(reply_id)
    fields = {"shortcut": reply.shortcut, "title": reply.title, "text": reply.text, "locale": reply.locale}
    form = CannedForm(request.POST if request.method == "POST" else None, initial=fields | {"team": str(reply.team_id or "")})
    if request.method == "POST" and form.is_valid():
        try:
            canned.change(reply_id, words=form.words(), author=cast(User, request.user))
        except ChatbotError as error:
            form.add_error(error.field if error.field in form.fields else None, error.message)
        else:
            messages.success(request, "Saved.")
            return redirect("assist:replies")
    return _form_page(request, form, reply=reply)


@requires("lead_teams")
@require_POST
def remove(request: HttpRequest, *, reply_id: int) -> HttpResponse:
    reply = _reply(reply_id)
    canned.remove(reply_id, by_id=cast(User, request.user).pk)
    messages.success(request, f"/{reply.shortcut} is gone. Messages that were sent with it stay as they are.")
    return redirect("assist:replies")


def _reply(reply_id: int) -> CannedReply:
    try:
        return canned.access_reply(reply_id)
    except NotFound as error:
        raise Http404(error.message) from error


def _form_page(request: HttpRequest, form: CannedForm, *, reply: CannedReply | None = None) -> HttpResponse:
    shown = canned.fill_in(reply.text, known=_EXAMPLE)[0] if reply else ""
    context = {"section": "canned", "form": form, "reply": reply, "variables": canned.VARIABLES.items(), "shown": shown}
    return render(request, "assist/reply.html", context)
