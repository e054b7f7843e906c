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
    remove_second_factor,
    reset_password,
)
from support_portal.accounts.roles import requires
from support_portal.accounts.second_factor import having_second_factor

ROLE_MEANINGS = [
    ("Agent", "Reads conversations and how each answer came about, takes them over and answers; reads FAQs."),
    ("Team lead", "What an agent does, and leads teams, reviews answers, reads the insight pages and tries questions."),
    ("Editor", "What an agent does, and writes, publishes, imports and exports FAQs, and reviews answers."),
    ("Administrator", "All of that, and manages accounts, teams and model versions, and reads the audit log."),
]


@requires("manage_users")
@require_GET
def people(request: HttpRequest) -> HttpResponse:
    everyone = User.objects.order_by("-is_active", "username")
    context = {"section": "people", "tab": "people", "people": everyone, "role_meanings": ROLE_MEANINGS}
    return render(request, "accounts/people.html", context)


@requires("manage_users")
@require_http_methods(["GET", "POST"])
@never_cache
def add(request: HttpRequest) -> HttpResponse:
    form = NewPersonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return _password_page(request, add_person(**form.cleaned_data, added_by=cast(User, request.user)), action="added")
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
    context = {
        "section": "people",
        "subject": subject,
        "form": form,
        "role_meanings": ROLE_MEANINGS,
        "has_second_factor": bool(having_second_factor([user_id])),
    }
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
        return _password_page(request, reactivate_person(user_id, changed_by=cast(User, request.user)), action="reactivated")
    except NotFound as error:
        raise Http404 from error


@requires("manage_users")
@require_POST
@never_cache
def new_password(request: HttpRequest, *, user_id: int) -> HttpResponse:
    try:
        return _password_page(
            request, reset_password(user_id, changed_by=cast(User, request.user)), action="given a new password"
        )
    except NotFound as error:
        raise Http404 from error
    except ChatbotError as error:
        messages.error(request, error.message)
        return redirect("people:person", user_id=user_id)


@requires("manage_users")
@require_POST
def second_factor_removed(request: HttpRequest, *, user_id: int) -> HttpResponse:
    try:
        subject = remove_second_factor(user_id, changed_by=cast(User, request.user))
    except NotFound as error:
        raise Http404 from error
    messages.success(request, f"The authenticator app of {subject.display_name} is removed; they are signed out everywhere.")
    return redirect("people:person", user_id=user_id)


def _password_page(request: HttpRequest, new: NewPassword, *, action: str) -> HttpResponse:
    """Answer the form itself with the password: a redirect would have to store it somewhere."""
    context = {"section": "people", "subject": new.user, "password": new.password, "action": action}
    return render(request, "accounts/one_time_password.html", context)
