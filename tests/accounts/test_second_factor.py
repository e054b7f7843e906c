"""The authenticator app: set up, asked for at sign-in, required by role, lost and replaced."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.test import Client

from chatbot.staffing.models import AuditEntry
from support_portal.accounts.models import User
from support_portal.accounts.sessions import still_allowed

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
ADD = "/accounts/second-factor/add/"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def _code(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))


def _sign_in(client: Client, username: str) -> Any:
    return client.post("/accounts/login/", {"login": username, "password": PASSWORD})


def _reauthenticate(client: Client) -> None:
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302


@pytest.fixture
def with_app(dana: User) -> User:
    TOTP.activate(dana, SECRET)
    return dana


def test_setting_up_takes_the_password_again_and_gives_recovery_codes(client: Client, dana: User) -> None:
    _sign_in(client, "dana")
    assert client.get(ADD)["Location"].startswith("/accounts/reauthenticate/")
    _reauthenticate(client)
    page = client.get(ADD)
    assert "data:image/svg+xml" in page.content.decode()
    secret = page.context["form"].secret
    assert "Incorrect code" in client.post(ADD, {"code": "000000"}).content.decode()
    assert client.post(ADD, {"code": _code(secret)})["Location"] == "/accounts/recovery-codes/"
    codes = client.get("/accounts/recovery-codes/").context["unused_codes"]
    assert len(codes) == 10
    assert client.get("/accounts/recovery-codes/download/").content.decode().split() == list(codes)
    assert "account.second_factor_added" in AuditEntry.objects.values_list("action", flat=True)
    stored = Authenticator.objects.get(type="totp").data["secret"]
    assert secret not in stored  # what a copy of the database shows is of no use


def test_the_code_is_asked_for_at_sign_in_and_works_once(client: Client, with_app: User) -> None:
    assert _sign_in(client, "dana")["Location"] == "/accounts/second-factor/code/"
    assert client.get("/accounts/")["Location"].startswith("/accounts/login/")
    assert "Incorrect code" in client.post("/accounts/second-factor/code/", {"code": "000000"}).content.decode()
    code = _code(SECRET)
    assert client.post("/accounts/second-factor/code/", {"code": code})["Location"] == "/desk/"
    again = Client()
    _sign_in(again, "dana")
    assert "Incorrect code" in again.post("/accounts/second-factor/code/", {"code": code}).content.decode()


def test_a_role_that_must_have_one_opens_nothing_before(client: Client, dana: User, settings: Any) -> None:
    settings.TOTP_REQUIRED_ROLES = ["agent"]
    _sign_in(client, "dana")
    assert client.get("/faqs/")["Location"] == ADD
    key = client.session.session_key
    assert not still_allowed(dana.pk, key, "read_faqs")
    _reauthenticate(client)
    page = client.get(ADD)
    assert "Your role needs a second step" in page.content.decode()
    client.post(ADD, {"code": _code(page.context["form"].secret)})
    assert client.get("/faqs/").status_code == 200
    assert still_allowed(dana.pk, client.session.session_key, "read_faqs")
    client.post("/accounts/second-factor/remove/")
    assert Authenticator.objects.filter(type="totp").exists()
    assert "ask an administrator" in client.get("/accounts/second-factor/remove/").content.decode()


def test_who_is_not_bound_removes_it_himself(client: Client, with_app: User) -> None:
    _sign_in(client, "dana")
    client.post("/accounts/second-factor/code/", {"code": _code(SECRET)})
    assert "reauthenticate" in client.get("/accounts/second-factor/remove/")["Location"]
    _reauthenticate(client)
    assert client.post("/accounts/second-factor/remove/").status_code == 302
    assert not Authenticator.objects.exists()


def test_an_administrator_helps_who_has_lost_the_phone(client: Client, with_app: User, omar: User) -> None:
    browser = Client()
    browser.force_login(with_app)
    client.force_login(omar)
    assert "remove the authenticator app" in client.get(f"/people/{with_app.pk}/").content.decode()
    client.post(f"/people/{with_app.pk}/second-factor/remove/")
    assert browser.get("/accounts/").status_code == 302
    assert _sign_in(browser, "dana")["Location"] == "/desk/"
    assert AuditEntry.objects.filter(action="person.second_factor_removed", actor_name="omar").exists()


def test_another_secret_key_makes_no_code_fit(client: Client, with_app: User, settings: Any) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another-key-" * 5, []
    _sign_in(client, "dana")
    assert "Incorrect code" in client.post("/accounts/second-factor/code/", {"code": _code(SECRET)}).content.decode()
