"""Sign-in, sign-out and the own password."""

from __future__ import annotations

import pytest
import redis
from django.core.cache import cache
from django.test import Client

from support_portal.accounts.models import User
from support_portal.accounts.throttle import MAX_TRIES, take_try

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
LOGIN = "/accounts/login/"


def _sign_in(client: Client, username: str, password: str, **extra: str) -> int:
    return client.post(LOGIN, {"username": username, "password": password}, **extra).status_code


def test_signing_in_leads_to_the_desk(client: Client, dana: User) -> None:
    assert client.get(LOGIN).status_code == 200
    response = client.post(LOGIN, {"username": "dana", "password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/desk/")
    assert client.get(LOGIN)["Location"] == "/desk/"


def test_next_is_followed_only_within_the_site(client: Client, dana: User) -> None:
    form = {"username": "dana", "password": PASSWORD}
    assert client.post(LOGIN, form | {"next": "/faqs/"})["Location"] == "/faqs/"
    assert Client().post(LOGIN, form | {"next": "https://evil.example/"})["Location"] == "/desk/"


def test_a_stranger_is_sent_to_sign_in_and_back(client: Client) -> None:
    for page in ("/desk/", "/faqs/", "/people/"):
        assert client.get(page)["Location"] == f"{LOGIN}?next={page}"


def test_wrong_name_and_wrong_password_read_the_same(client: Client, dana: User) -> None:
    texts = []
    for username in ("dana", "dana2"):
        response = client.post(LOGIN, {"username": username, "password": "wrong"})
        assert response.status_code == 200
        texts.append(response.content.decode().split('role="alert"')[1].split("</div>")[0])
    assert texts[0] == texts[1] and "do not fit together" in texts[0]


def test_the_eleventh_guess_is_refused_even_when_it_is_right(client: Client, dana: User) -> None:
    for _ in range(MAX_TRIES):
        assert _sign_in(client, "dana", "wrong") == 200
    response = client.post(LOGIN, {"username": "DANA ", "password": PASSWORD})
    assert response.status_code == 429
    assert response["Retry-After"] == "300" and "Too many tries. Wait 5 minutes" in response.content.decode()
    assert _sign_in(client, "dana", PASSWORD, REMOTE_ADDR="203.0.113.9") == 302


def test_a_right_password_forgets_the_wrong_ones(client: Client, dana: User) -> None:
    for _ in range(MAX_TRIES - 1):
        _sign_in(client, "dana", "wrong")
    assert _sign_in(client, "dana", PASSWORD) == 302
    assert take_try("dana", address="127.0.0.1")


def test_everyone_may_try_while_redis_is_down(client: Client, dana: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*args: object, **kwargs: object) -> None:
        raise redis.ConnectionError("down")

    for command in ("add", "incr", "delete"):
        monkeypatch.setattr(cache, command, down, raising=False)
    assert _sign_in(client, "dana", PASSWORD) == 302


def test_a_deactivated_person_cannot_sign_in(client: Client, dana: User) -> None:
    dana.is_active = False
    dana.save()
    assert _sign_in(client, "dana", PASSWORD) == 200
    assert "_auth_user_id" not in client.session


def test_signing_out_takes_a_post(client: Client, dana: User) -> None:
    client.force_login(dana)
    assert client.get("/accounts/logout/").status_code == 405
    assert client.post("/accounts/logout/")["Location"] == LOGIN
    assert client.get("/desk/").status_code == 302


def test_signing_in_needs_the_csrf_token(dana: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    assert _sign_in(strict, "dana", PASSWORD) == 403


def test_changing_the_password_ends_other_sessions(client: Client, dana: User) -> None:
    other = Client()
    for browser in (client, other):
        browser.force_login(dana)
    form = {"old_password": PASSWORD, "new_password1": "a better horse 42", "new_password2": "a better horse 42"}
    assert client.post("/accounts/password/", form)["Location"] == "/desk/"
    assert client.get("/desk/").status_code == 200
    assert other.get("/desk/").status_code == 302


def test_a_bad_new_password_says_why(client: Client, dana: User) -> None:
    client.force_login(dana)
    form = {"old_password": "wrong", "new_password1": "short", "new_password2": "short"}
    text = client.post("/accounts/password/", form).content.decode()
    assert "Nothing was saved" in text and "too short" in text


def test_a_one_time_password_opens_nothing_but_the_change(client: Client, dana: User) -> None:
    dana.must_change_password = True
    dana.save()
    client.force_login(dana)
    assert client.get("/desk/")["Location"] == "/accounts/password/"
    assert "Somebody else has seen your present password" in client.get("/accounts/password/").content.decode()
    form = {"old_password": PASSWORD, "new_password1": "a better horse 42", "new_password2": "a better horse 42"}
    client.post("/accounts/password/", form)
    assert client.get("/desk/").status_code == 200


def test_staff_pages_are_english_whatever_the_browser_speaks(client: Client) -> None:
    text = client.get(LOGIN, headers={"accept-language": "zh-hans"}).content.decode()
    assert '<html lang="en"' in text
