"""The people pages: administrators add colleagues, change what they may do, and end their access."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatbot.errors import ChatbotError, NotFound
from support_portal.accounts.forms import NewPersonForm, PersonForm
from support_portal.accounts.models import User
from support_portal.accounts.people import (
    NewPassword,
    add_person,
    change_person,
    deactivate_person,
    reactivate_person,
    reset_password,
)
from support_portal.accounts.roles import requires

ROLE_MEANINGS = [
    ("Agent", "Reads conversations and how each answer came about; reads FAQs."),
    ("Editor", "What an agent does, and writes, publishes, imports and exports FAQs."),
    ("Administrator", "What an editor does, and manages these accounts."),
]


@requires("manage_users")
@require_GET
def people(request: HttpRequest) -> HttpResponse:
    everyone = User.objects.order_by("-is_active", "username")
    return render(request, "accounts/people.html", {"section": "people", "people": everyone, "role_meanings": ROLE_MEANINGS})


@requires("manage_users")
@require_http_methods(["GET", "POST"])
@never_cache
def add(request: HttpRequest) -> HttpResponse:
    form = NewPersonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return _password_page(request, add_person(**form.cleaned_data), action="added")
        except ChatbotError as error:
            form.add_error(error.field or None, error.message)
    return render(request, "accounts/person_add.html", {"section": "people", "form": form, "role_meanings": ROLE_MEANINGS})


@requires("manage_users")
@require_http_methods(["GET", "POST"])
def person(request: HttpRequest, *, user_id: int) -> HttpResponse:
    subject = get_object_or_404(User, pk=user_id)
    initial = {"name": subject.first_name, "email": subject.email, "role": subject.role}
    form = PersonForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            change_person(user_id, changed_by=cast(User, request.user), **form.cleaned_data)
        except ChatbotError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, "Saved.")
            return redirect("people:person", user_id=user_id)
    context = {"section": "people", "subject": subject, "form": form, "role_meanings": ROLE_MEANINGS}
    return render(request, "accounts/person.html", context)


@requires("manage_users")
@require_POST
def deactivate(request: HttpRequest, *, user_id: int) -> HttpResponse:
    try:
        subject = deactivate_person(user_id, changed_by=cast(User, request.user))
    except NotFound as error:
        raise Http404 from error
    except ChatbotError as error:
        messages.error(request, error.message)
        return redirect("people:person", user_id=user_id)
    messages.success(request, f"{subject.display_name} is deactivated and signed out everywhere.")
    return redirect("people:list")


@requires("manage_users")
@require_POST
@never_cache
def reactivate(request: HttpRequest, *, user_id: int) -> HttpResponse:
    try:
        return _password_page(request, reactivate_person(user_id), action="reactivated")
    except NotFound as error:
        raise Http404 from error


@requires("manage_users")
@require_POST
@never_cache
def new_password(request: HttpRequest, *, user_id: int) -> HttpResponse:
    try:
        return _password_page(request, reset_password(user_id), action="given a new password")
    except NotFound as error:
        raise Http404 from error
    except ChatbotError as error:
        messages.error(request, error.message)
        return redirect("people:person", user_id=user_id)


def _password_page(request: HttpRequest, new: NewPassword, *, action: str) -> HttpResponse:
    """Answer the form itself with the password: a redirect would have to store it somewhere."""
    context = {"section": "people", "subject": new.user, "password": new.password, "action": action}
    return render(request, "accounts/one_time_password.html", context)
