"""Sign-in, sign-out and the own password."""

from __future__ import annotations

import re
from typing import Any

import pytest
import redis
from django.contrib.auth.hashers import PBKDF2PasswordHasher, identify_hasher
from django.core import mail
from django.core.cache.backends.redis import RedisCacheClient
from django.test import Client

from chatbot.staffing.models import AuditEntry
from support_portal.accounts.models import User

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
NEW = {"oldpassword": PASSWORD, "password1": "a better horse 42", "password2": "a better horse 42"}
LOGIN = "/accounts/login/"
TRIES = 10


def _sign_in(client: Client, username: str, password: str, **extra: str) -> Any:
    return client.post(LOGIN, {"login": username, "password": password}, **extra)


def test_signing_in_leads_to_the_desk_and_is_on_record(client: Client, dana: User) -> None:
    assert client.get(LOGIN).status_code == 200
    response = _sign_in(client, "dana", PASSWORD)
    assert (response.status_code, response["Location"]) == (302, "/desk/")
    assert client.get(LOGIN)["Location"] == "/desk/"
    entry = AuditEntry.objects.get()
    assert (entry.actor_name, entry.action, entry.detail) == ("dana", "account.signed_in", {"address": "127.0.0.1"})


def test_next_is_followed_only_within_the_site(dana: User) -> None:
    form = {"login": "dana", "password": PASSWORD}
    assert Client().post(LOGIN, form | {"next": "/faqs/"})["Location"] == "/faqs/"
    assert Client().post(LOGIN, form | {"next": "https://evil.example/"})["Location"] == "/desk/"


def test_wrong_name_and_wrong_password_read_the_same(client: Client, dana: User) -> None:
    texts = []
    for username in ("dana", "dana2"):
        response = _sign_in(client, username, "wrong")
        assert response.status_code == 200
        texts.append(response.content.decode().split('role="alert"')[1].split("</div>")[0])
    assert texts[0] == texts[1] and "do not fit together" in texts[0]


def test_the_eleventh_guess_is_refused_even_when_it_is_right(client: Client, dana: User) -> None:
    for _ in range(TRIES):
        assert "do not fit together" in _sign_in(client, "dana", "wrong").content.decode()
    assert "Too many tries. Wait 5 minutes" in _sign_in(client, "DANA ", PASSWORD).content.decode()
    assert "_auth_user_id" not in client.session


def test_a_guesser_elsewhere_locks_nobody_out(client: Client, dana: User) -> None:
    for _ in range(TRIES + 1):
        _sign_in(client, "dana", "wrong", REMOTE_ADDR="10.0.0.9")
    assert _sign_in(client, "dana", PASSWORD).status_code == 302


def test_everyone_may_try_while_redis_is_down(client: Client, dana: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*args: object, **kwargs: object) -> None:
        raise redis.ConnectionError("down")

    for command in ("add", "get", "set", "delete"):
        monkeypatch.setattr(RedisCacheClient, command, down)
    assert _sign_in(client, "dana", PASSWORD).status_code == 302


def test_an_old_hash_is_made_anew_at_the_next_sign_in(client: Client, dana: User, settings: Any) -> None:
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.Argon2PasswordHasher",
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    ]
    dana.password = PBKDF2PasswordHasher().encode(PASSWORD, "salt")
    dana.save()
    assert _sign_in(client, "dana", PASSWORD).status_code == 302
    dana.refresh_from_db()
    assert identify_hasher(dana.password).algorithm == "argon2"
    assert client.get("/accounts/").status_code == 200
    assert _sign_in(Client(), "dana", PASSWORD).status_code == 302


def test_a_deactivated_person_cannot_sign_in(client: Client, dana: User) -> None:
    dana.is_active = False
    dana.save()
    assert "deactivated" in client.get(_sign_in(client, "dana", PASSWORD)["Location"]).content.decode()
    assert "_auth_user_id" not in client.session


def test_signing_out_takes_a_post(client: Client, dana: User) -> None:
    client.force_login(dana)
    assert client.get("/accounts/logout/").status_code == 405
    assert client.post("/accounts/logout/")["Location"] == LOGIN
    assert client.get("/accounts/").status_code == 302


def test_signing_in_needs_the_csrf_token(dana: User) -> None:
    assert _sign_in(Client(enforce_csrf_checks=True), "dana", PASSWORD).status_code == 403


def test_changing_the_password_ends_other_sessions(client: Client, dana: User) -> None:
    other = Client()
    for browser in (client, other):
        browser.force_login(dana)
    assert client.post("/accounts/password/", NEW)["Location"] == "/desk/"
    assert client.get("/accounts/").status_code == 200
    assert other.get("/accounts/").status_code == 302
    assert AuditEntry.objects.get().action == "account.password_set"


def test_a_bad_new_password_says_why(client: Client, dana: User) -> None:
    client.force_login(dana)
    text = client.post(
        "/accounts/password/", {"oldpassword": "wrong", "password1": "short", "password2": "short"}
    ).content.decode()
    assert "Nothing was saved" in text and "too short" in text


def test_a_one_time_password_opens_nothing_but_the_change(client: Client, dana: User) -> None:
    dana.must_change_password = True
    dana.save()
    client.force_login(dana)
    for page in ("/faqs/", "/accounts/", "/accounts/second-factor/add/"):
        assert client.get(page)["Location"] == "/accounts/password/"
    assert "Somebody else has seen your present password" in client.get("/accounts/password/").content.decode()
    client.post("/accounts/password/", NEW)
    assert client.get("/accounts/").status_code == 200


# ---- a lost password


def test_without_a_mail_server_the_page_says_whom_to_ask(client: Client, dana: User) -> None:
    assert "An administrator can give you a one-time password" in client.get("/accounts/password/reset/").content.decode()
    assert client.post("/accounts/password/reset/", {"email": "dana@shop.example"}).status_code == 200
    assert mail.outbox == []


@pytest.fixture
def with_mail(settings: Any) -> None:
    settings.MAIL_CONFIGURED = True


@pytest.mark.django_db(transaction=True)
def test_a_mailed_link_chooses_a_new_password_once_and_ends_all_sessions(client: Client, dana: User, with_mail: None) -> None:
    dana.email = "dana@shop.example"
    dana.save()
    browser = Client()
    browser.force_login(dana)
    assert client.post("/accounts/password/reset/", {"email": "DANA@shop.example"}).status_code == 302
    [sent] = mail.outbox
    assert sent.to == ["dana@shop.example"] and "dana" in sent.body and "Larkwheel" in sent.subject
    link = re.search(r"http://testserver(/accounts/password/reset/\S+)", sent.body)
    assert link is not None
    page = client.get(link[1])["Location"]
    assert "Choose a password" in client.get(page).content.decode()
    assert client.post(page, {"password1": "a better horse 42", "password2": "a better horse 42"})["Location"].endswith("/done/")
    assert browser.get("/accounts/").status_code == 302
    assert _sign_in(Client(), "dana", "a better horse 42").status_code == 302
    assert "does not work any more" in Client().get(link[1]).content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["unknown", "deactivated", "single sign-on"])
def test_nobody_else_gets_mail_and_the_page_reads_the_same(client: Client, dana: User, with_mail: None, kind: str) -> None:
    dana.email = "" if kind == "unknown" else "dana@shop.example"
    dana.is_active = kind != "deactivated"
    if kind == "single sign-on":
        dana.set_unusable_password()
    dana.save()
    assert client.post("/accounts/password/reset/", {"email": "dana@shop.example"})["Location"].endswith("/reset/sent/")
    assert mail.outbox == []
