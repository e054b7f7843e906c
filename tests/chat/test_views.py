from __future__ import annotations

import uuid

import pytest
from django.test import Client

from chatbot.conversations.models import Customer
from support_portal.chat.visitors import COOKIE
from tests.conftest import browser_of
from tests.conversations.factories import post

pytestmark = pytest.mark.django_db


def test_home_leads_to_the_chat(client: Client) -> None:
    assert client.get("/").headers["Location"] == "/chat/"


def test_first_visit_sets_a_signed_cookie_that_scripts_cannot_read(client: Client) -> None:
    cookie = client.get("/chat/").cookies[COOKIE]
    assert cookie["httponly"] and cookie["samesite"] == "Lax"
    assert Customer.objects.count() == 0


def test_forged_cookie_is_nobody(client: Client, alice: Customer) -> None:
    accepted = post(alice)
    client.cookies[COOKIE] = f"{alice.pk}:forged:signature"
    assert client.get(f"/chat/{accepted.conversation.id}/").status_code == 404


def test_own_conversation_opens_and_a_strangers_does_not(alice: Customer, mallory: uuid.UUID) -> None:
    path = f"/chat/{post(alice).conversation.id}/"
    assert browser_of(alice.pk).get(path).status_code == 200
    assert browser_of(mallory).get(path).status_code == 404


def test_list_holds_only_own_conversations(alice: Customer, amir: Customer) -> None:
    mine, _ = post(alice), post(amir)
    found = browser_of(alice.pk).get("/chat/conversations.json").json()["conversations"]
    assert [c["id"] for c in found] == [str(mine.conversation.id)]


@pytest.mark.parametrize("path", ["/", "/chat/", "/chat/conversations.json", "/theme.css"])
def test_pages_are_read_only(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405


def test_bad_ids_are_not_found(client: Client) -> None:
    assert [client.get(path).status_code for path in ("/chat/17/", f"/chat/{uuid.uuid4()}/", "/help/nothing/")] == [404] * 3


def test_interface_follows_the_browser(client: Client) -> None:
    assert 'lang="zh-hans"' in client.get("/chat/", headers={"accept-language": "zh-CN,zh;q=0.9"}).content.decode().lower()
    assert 'lang="en"' in client.get("/chat/", headers={"accept-language": "fr"}).content.decode()


def test_policy_allows_no_inline_code(client: Client) -> None:
    policy = client.get("/chat/").headers["Content-Security-Policy"]
    assert "unsafe" not in policy and "script-src 'self'" in policy and "frame-ancestors 'none'" in policy


def test_chat_page_asks_the_database_nothing(client: Client, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(0):  # type: ignore[operator]
        client.get("/chat/")
