"""People who come from the company's own sign-in (OpenID Connect). allauth speaks the protocol; this decides who they are here.

An identity is its issuer and its subject, never an e-mail address: whoever can have an address entered at the issuer would
otherwise become the colleague who has it here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from chatbot.staffing import audit
from chatbot.telemetry import log_event
from support_portal.accounts.models import User
from support_portal.accounts.oidc_settings import Oidc
from support_portal.accounts.people import give_role

# The first of these that a person has counts.
_BY_WEIGHT = (User.Role.ADMIN, User.Role.EDITOR, User.Role.LEAD, User.Role.AGENT)
_NO_ROLE = "Your company's sign-in knows you, but gives you no role here. Ask an administrator to be added."
_EMAIL_TAKEN = (
    "Somebody here already has your e-mail address. If that is you, sign in with your user name and password, then open "
    "Your account and connect single sign-on there."
)


class SingleSignOnAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return True  # Whoever has no role was refused before.

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: Mapping[str, Any]) -> User:
        # Before allauth looks the identity up: two issuers may call different people the same.
        subject = f"{_oidc().issuer}\n{sociallogin.account.uid}"
        sociallogin.account.uid = hashlib.sha256(subject.encode()).hexdigest()
        user: User = super().populate_user(request, sociallogin, data)
        user.first_name, user.last_name = f"{user.first_name} {user.last_name}".strip()[:150], ""
        return user

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        role = role_of(sociallogin.account.extra_data)
        if role is None:
            _refuse(request, _NO_ROLE, code="sso_no_role")
        if sociallogin.is_existing:
            if _oidc().roles and sociallogin.user.is_active:
                sociallogin.user = give_role(sociallogin.user.pk, role=str(role))
        elif sociallogin.state.get("process") != AuthProcess.CONNECT:
            email = sociallogin.user.email
            if email and User.objects.filter(email__iexact=email).exists():
                _refuse(request, _EMAIL_TAKEN, code="sso_email_taken")
            sociallogin.user.role = role

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        with transaction.atomic():
            user: User = super().save_user(request, sociallogin, form)
            audit.record(None, "person.added", f"user {user.pk}", {"role": user.role, "by": "single sign-on"})
        return user

    def get_connect_redirect_url(self, request: HttpRequest, socialaccount: Any) -> str:
        return reverse("account")

    def on_authentication_error(
        self, request: HttpRequest, provider: Any, error: Any = None, exception: Any = None, extra_context: Any = None
    ) -> None:
        log_event("account.sso_failed", error=type(exception).__name__ if exception else "")
        raise ImmediateHttpResponse(failed(request))


def role_of(claims: Mapping[str, Any]) -> User.Role | None:
    """The role that the issuer's claim gives; an agent where no mapping is set. None: this person stays out."""
    oidc = _oidc()
    if not oidc.roles:
        return User.Role.AGENT
    given: set[str] = set()
    for part in (claims.get("userinfo"), claims.get("id_token")):
        given |= _values(part, oidc.role_claim)
    roles = {oidc.roles[value] for value in given if value in oidc.roles}
    return next((role for role in _BY_WEIGHT if role in roles), None)


def _values(claims: object, name: str) -> set[str]:
    """What a claim says, `realm_access.roles` being the field of a field; text or a list of texts, anything else is nothing."""
    found = claims
    if isinstance(claims, Mapping) and name in claims:
        found = claims[name]
    else:
        for step in name.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
    entries = found if isinstance(found, list) else [found]
    return {entry for entry in entries if isinstance(entry, str)}


def _oidc() -> Oidc:
    """The settings; there is no way here without them, its addresses being 404."""
    found = settings.OIDC
    assert found is not None
    return found


def failed(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/sso_failed.html", status=502)


def _refuse(request: HttpRequest, sentence: str, *, code: str) -> None:
    log_event("account.sso_refused", code=code)
    raise ImmediateHttpResponse(render(request, "accounts/sso_refused.html", {"sentence": sentence}, status=403))
