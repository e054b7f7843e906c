"""Sessions end everywhere at once, and open sockets hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import Client

from support_portal.accounts import account_watch as watching
from support_portal.accounts.account_watch import account_watch
from support_portal.accounts.models import User
from support_portal.accounts.people import change_person, deactivate_person, reset_password
from support_portal.accounts.sessions import end_sessions, still_allowed
from support_portal.accounts.templatetags.staff import browser_name

PASSWORD = "correct horse battery"


def _browser(username: str) -> Client:
    client = Client()
    assert client.post("/accounts/login/", {"login": username, "password": PASSWORD}).status_code == 302
    return client


def _key(client: Client) -> str:
    key = client.session.session_key
    assert key is not None
    return key


@pytest.mark.django_db
def test_a_session_allows_its_owner_what_the_role_allows(dana: User, omar: User) -> None:
    key = _key(_browser("dana"))
    assert still_allowed(dana.pk, key, "read_conversations")
    assert not still_allowed(dana.pk, key, "manage_users")
    assert not still_allowed(omar.pk, key, "read_conversations")
    assert not still_allowed(dana.pk, "made-up", "read_conversations")
    assert not still_allowed(999_999, key, "read_conversations")


def _role(role: str) -> Callable[[User, User], Any]:
    return lambda dana, omar: change_person(dana.pk, name="", email="", role=role, changed_by=omar)


ENDINGS: dict[str, Callable[[User, User], Any]] = {
    "closed": lambda dana, omar: deactivate_person(dana.pk, changed_by=omar),
    "lost a right": _role("agent"),
    "password given": lambda dana, omar: reset_password(dana.pk, changed_by=omar),
    "signed out": lambda dana, omar: end_sessions(dana),
}


@pytest.mark.django_db
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_browser_is_out(dana: User, omar: User, ending: str) -> None:
    dana.role = "editor"
    dana.save()
    browsers = [_browser("dana"), _browser("dana")]
    ENDINGS[ending](dana, omar)
    for browser in browsers:
        assert not still_allowed(dana.pk, _key(browser), "read_conversations")
        assert browser.get("/accounts/")["Location"].startswith("/accounts/login/")


@pytest.mark.django_db
def test_more_rights_end_no_session(dana: User, omar: User) -> None:
    browser = _browser("dana")
    _role("editor")(dana, omar)
    assert browser.get("/faqs/add/").status_code == 200


@pytest.mark.django_db
def test_ones_own_sessions_are_listed_and_ended(dana: User, omar: User) -> None:
    here, there, elsewhere = _browser("dana"), _browser("dana"), _browser("omar")
    page = here.get("/accounts/")
    assert len(page.context["sessions"]) == 2
    [other] = [entry for entry in page.context["sessions"] if entry.session_key == _key(there)]
    [foreign] = elsewhere.get("/accounts/").context["sessions"]
    assert here.post(f"/accounts/sessions/{foreign.pk}/end/").status_code == 404
    assert here.post(f"/accounts/sessions/{other.pk}/end/").status_code == 302
    assert [browser.get("/accounts/").status_code for browser in (here, there, elsewhere)] == [200, 302, 200]


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        ("curl/8.0", "A browser"),
    ],
)
def test_a_browser_has_a_name_that_people_know(user_agent: str, name: str) -> None:
    assert browser_name(user_agent) == name


@pytest.mark.django_db
def test_signing_out_tells_open_sockets(dana: User, django_capture_on_commit_callbacks: Any) -> None:
    browser = _browser("dana")
    key = _key(browser)
    with django_capture_on_commit_callbacks() as told:
        browser.post("/accounts/logout/")
    assert len(told) == 1 and not still_allowed(dana.pk, key, "read_conversations")


@pytest.mark.django_db
@pytest.mark.parametrize(("which", "stays"), [("others", 200), ("all", 302)])
def test_signing_out_everywhere(dana: User, which: str, stays: int) -> None:
    here, there = _browser("dana"), _browser("dana")
    assert here.post("/accounts/sessions/end/", {"which": which}).status_code == 302
    assert [here.get("/accounts/").status_code, there.get("/accounts/").status_code] == [stays, 302]
    if which == "others":
        assert len(here.get("/accounts/").context["sessions"]) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_open_socket_is_told_at_once(dana: User, omar: User, ending: str) -> None:
    dana.role = "editor"
    await dana.asave()
    dana_key, omar_key = [_key(await sync_to_async(_browser)(name)) for name in ("dana", "omar")]
    ended: list[str] = []
    out = asyncio.Event()

    async def shut() -> None:
        ended.append("dana")
        out.set()

    async def shut_other() -> None:
        ended.append("omar")

    watch = account_watch()
    watch.watch(dana.pk, session_key=dana_key, right="read_conversations", ended=shut)
    other = watch.watch(omar.pk, session_key=omar_key, right="read_conversations", ended=shut_other)
    try:
        await sync_to_async(ENDINGS[ending])(dana, omar)
        await asyncio.wait_for(out.wait(), timeout=5)
        assert ended == ["dana"]
    finally:
        watch.unwatch(other)
        await watch.close()
        await sync_to_async(connections.close_all)()


@pytest.mark.django_db(transaction=True)
async def test_a_lost_message_is_made_up_for(dana: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """News may get lost: whoever changed before we listened, or without any news, is found by asking."""
    monkeypatch.setattr(watching, "RECHECK_S", 0.0)
    key = _key(await sync_to_async(_browser)("dana"))
    out = asyncio.Event()

    async def shut() -> None:
        out.set()

    watch = account_watch()
    watch.watch(dana.pk, session_key=key, right="read_conversations", ended=shut)
    try:
        await User.objects.filter(pk=dana.pk).aupdate(is_active=False)
        await asyncio.wait_for(out.wait(), timeout=5)
    finally:
        await watch.close()
        await sync_to_async(connections.close_all)()
