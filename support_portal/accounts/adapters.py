"""Where allauth asks what this house does: who may come in, what is written down, what mail goes out, how secrets are kept."""

from __future__ import annotations

import base64
import functools
import hashlib
import secrets
from collections.abc import Iterator
from smtplib import SMTPException
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.http import HttpRequest

from chatbot import runtime
from chatbot.staffing import audit
from chatbot.telemetry import log_event
from support_portal.accounts.models import User
from support_portal.accounts.sessions import announce_change


class StaffAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def login(self, request: HttpRequest, user: User) -> None:
        with transaction.atomic():
            super().login(request, user)
            audit.record(user.pk, "account.signed_in", f"user {user.pk}", {"address": self.get_client_ip(request)})

    def logout(self, request: HttpRequest) -> None:
        user_id = request.user.pk
        super().logout(request)
        if user_id is not None:
            announce_change(user_id)

    def set_password(self, user: User, password: str) -> None:
        """The password is theirs alone now; every session opened with the former one ends, sockets included."""
        with transaction.atomic():
            user.set_password(password)
            user.must_change_password = False
            user.save(update_fields=["password", "must_change_password"])
            announce_change(user.pk)
            audit.record(user.pk, "account.password_set", f"user {user.pk}")

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send after the commit: nobody waits for a mail server inside a transaction, or is told of what was rolled back."""
        if settings.MAIL_CONFIGURED and email:
            company = runtime.company().name
            message = self.render_mail(template_prefix, email, {"company_name": company, "email": email, **context})
            transaction.on_commit(functools.partial(_send, message))

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Count tries for one name from one address: a guesser elsewhere does not lock out the person whose name it is."""
        return f"{super()._get_login_attempts_cache_key(request, **credentials)}:{self.get_client_ip(request)}"


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    def encrypt(self, text: str) -> str:
        return next(_fernets()).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """What another SECRET_KEY wrote reads as a secret that no code fits; SECRET_KEY_FALLBACKS are tried first."""
        for fernet in _fernets():
            try:
                return fernet.decrypt(encrypted_text.encode()).decode()
            except InvalidToken:
                continue
        return base64.b32encode(secrets.token_bytes(20)).decode()

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Whoever must have a second factor can replace it with an administrator's help only."""
        return authenticator.type != Authenticator.Type.TOTP or authenticator.user.role not in settings.TOTP_REQUIRED_ROLES


def _send(message: EmailMessage) -> None:
    try:
        message.send()
    except (SMTPException, OSError) as error:  # The deed is done; the operator reads of it, the person's page does not break.
        log_event("mail.failed", error=type(error).__name__)


def _fernets() -> Iterator[Fernet]:
    """The present key's first: it encrypts."""
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        digest = hashlib.sha256(b"answerdesk second factor\n" + str(key).encode()).digest()
        yield Fernet(base64.urlsafe_b64encode(digest))
