"""Sign-in, sign-out and the own password. Django does the work; this adds the throttle and the plain words."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse_lazy
from django.utils import translation

from support_portal.accounts.throttle import WINDOW_S, forget_tries, take_try


def _finished(response: Any) -> HttpResponse:
    """Render while the language is still English; a TemplateResponse would wait until after the view."""
    return cast(HttpResponse, response.render() if isinstance(response, TemplateResponse) else response)


class SignIn(auth_views.LoginView):
    template_name = "accounts/sign_in.html"
    redirect_authenticated_user = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with translation.override("en"):
            return _finished(super().dispatch(request, *args, **kwargs))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        username = request.POST.get("username", "")
        if not take_try(username, address=request.META.get("REMOTE_ADDR", "")):
            form = AuthenticationForm(request, initial={"username": username[:150]})
            too_many = f"Too many tries. Wait {WINDOW_S // 60} minutes, then try again."
            response = self.render_to_response(self.get_context_data(form=form, too_many=too_many), status=429)
            response["Retry-After"] = str(WINDOW_S)
            return response
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        forget_tries(self.request.POST.get("username", ""), address=self.request.META.get("REMOTE_ADDR", ""))
        return super().form_valid(form)


class ChangePassword(auth_views.PasswordChangeView):
    template_name = "accounts/password_change.html"
    success_url = reverse_lazy("desk:list")

    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponse:
        with translation.override("en"):
            return _finished(super().dispatch(*args, **kwargs))

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        form.user.must_change_password = False
        messages.success(self.request, "Your password is changed. Your other sessions have ended.")
        return super().form_valid(form)
