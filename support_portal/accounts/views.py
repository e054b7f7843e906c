"""Sign-in, the own password, the second factor, one's own sessions. allauth does the work; this adds our looks and log."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from allauth.account import views as account_views
from allauth.mfa.base import views as mfa_views
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import views as recovery_views
from allauth.mfa.totp import views as totp_views
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.openid_connect import views as oidc_views
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from requests import RequestException

from chatbot.staffing import audit
from chatbot.telemetry import log_event
from support_portal.accounts.models import User
from support_portal.accounts.second_factor import lacks_second_factor
from support_portal.accounts.sessions import announce_change, end_sessions
from support_portal.accounts.single_sign_on import failed

View = Callable[..., HttpResponseBase]


def in_english(view: View) -> View:
    """Render while the language is still English; a TemplateResponse would wait until after the view."""

    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with translation.override("en"):
            response = view(request, *args, **kwargs)
            return response.render() if isinstance(response, TemplateResponse) else response

    return shown


def own_page(view: View) -> View:
    """A page about one's own account: for everybody who is signed in, whatever the role. A seen password is changed first."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        name = request.resolver_match.url_name if request.resolver_match else ""
        if request.user.must_change_password and name not in ("account_change_password", "account_logout"):
            return redirect("account_change_password")
        return in_english(never_cache(view))(request, *args, **kwargs)

    return guarded


class SignIn(account_views.LoginView):  # type: ignore[misc]  # allauth has no types
    template_name = "accounts/sign_in.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "sso_name": settings.OIDC.name if settings.OIDC else ""}


class ChangePassword(account_views.PasswordChangeView):  # type: ignore[misc]  # allauth has no types
    template_name = "accounts/password_change.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not cast(User, request.user).has_usable_password():
            messages.info(request, "You sign in with single sign-on and have no password here.")
            return redirect("account")
        return cast(HttpResponseBase, super().dispatch(request, *args, **kwargs))

    def get_default_success_url(self) -> str:
        return settings.LOGIN_REDIRECT_URL


class ResetPassword(account_views.PasswordResetView):  # type: ignore[misc]  # allauth has no types
    template_name = "accounts/password_reset.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "mail_configured": settings.MAIL_CONFIGURED}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.MAIL_CONFIGURED:
            return cast(HttpResponse, self.get(request, *args, **kwargs))
        return cast(HttpResponse, super().post(request, *args, **kwargs))


class AddAuthenticator(totp_views.ActivateTOTPView):  # type: ignore[misc]  # allauth has no types
    template_name = "accounts/authenticator_add.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        user = cast(User, self.request.user)
        demanded = lacks_second_factor(user, self.request.session)
        return {**super().get_context_data(**kwargs), "demanded": demanded}

    def form_valid(self, form: Any) -> HttpResponse:
        return _recorded(self.request, "account.second_factor_added", lambda: super(AddAuthenticator, self).form_valid(form))


class RemoveAuthenticator(totp_views.DeactivateTOTPView):  # type: ignore[misc]  # allauth has no types
    template_name = "accounts/authenticator_remove.html"

    def form_valid(self, form: Any) -> HttpResponse:
        return _recorded(self.request, "account.second_factor_removed", lambda: super(RemoveAuthenticator, self).form_valid(form))


class MakeRecoveryCodes(recovery_views.GenerateRecoveryCodesView):  # type: ignore[misc]  # allauth has no types
    template_name = "accounts/recovery_codes_make.html"

    def form_valid(self, form: Any) -> HttpResponse:
        return _recorded(self.request, "account.recovery_codes_made", lambda: super(MakeRecoveryCodes, self).form_valid(form))


def _recorded(request: HttpRequest, action: str, deed: Callable[[], HttpResponse]) -> HttpResponse:
    with transaction.atomic():
        audit.record(request.user.pk, action, f"user {request.user.pk}")
        return deed()


@own_page
@require_GET
def account(request: HttpRequest) -> HttpResponse:
    """Everything about one's own account on one page."""
    user = cast(User, request.user)
    factors = {factor.type: factor for factor in Authenticator.objects.filter(user_id=user.pk)}
    codes = factors.get(Authenticator.Type.RECOVERY_CODES)
    sessions = UserSession.objects.purge_and_list(user)
    context = {
        "authenticator": factors.get(Authenticator.Type.TOTP),
        "codes_left": len(codes.wrap().get_unused_codes()) if codes else 0,
        "required": user.role in settings.TOTP_REQUIRED_ROLES,
        "sessions": sorted(sessions, key=lambda session: session.created_at, reverse=True),
        "this_session": request.session.session_key,
        "oidc": settings.OIDC,
        "connected": SocialAccount.objects.filter(user_id=user.pk).exists(),
    }
    return render(request, "accounts/account.html", context)


@own_page
@require_POST
def end_one_session(request: HttpRequest, *, session_id: int) -> HttpResponse:
    session = UserSession.objects.filter(pk=session_id, user_id=request.user.pk).first()
    if session is None:
        raise Http404
    with transaction.atomic():
        session.end()
        audit.record(request.user.pk, "account.session_ended", f"user {request.user.pk}")
        announce_change(cast(int, request.user.pk))
    messages.success(request, "That session has ended.")
    return redirect("account")


@own_page
@require_POST
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """End every session of one's own, or all but this one."""
    user = cast(User, request.user)
    others_only = request.POST.get("which") == "others"
    with transaction.atomic():
        end_sessions(user)
        UserSession.objects.filter(user_id=user.pk).delete()
        audit.record(user.pk, "account.signed_out_everywhere", f"user {user.pk}", {"others_only": others_only})
        if others_only:
            update_session_auth_hash(request, user)
            UserSession.objects.create_from_request(request)
    if not others_only:
        logout(request)
        messages.success(request, "You are signed out everywhere.")
        return redirect("account_login")
    messages.success(request, "Your other sessions have ended.")
    return redirect("account")


@in_english
@require_POST
def single_sign_on(request: HttpRequest, *, provider_id: str) -> HttpResponseBase:
    """Send the browser to the company's own sign-in. allauth asks that one where to; it may be away, or answer nonsense."""
    try:
        return cast(HttpResponseBase, oidc_views.login(request, provider_id))
    except (RequestException, KeyError) as error:
        log_event("account.sso_failed", error=type(error).__name__)
        return failed(request)


authenticate = in_english(
    require_http_methods(["GET", "POST"])(mfa_views.AuthenticateView.as_view(template_name="accounts/authenticate.html"))
)
