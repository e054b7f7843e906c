"""A customer's copy of an own conversation: file, paper, e-mail; nobody else's."""

from __future__ import annotations

import smtplib
import uuid
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.test import Client

from chatbot.conversations.models import Message
from support_portal.chat import transcript_views
from support_portal.chat.throttling import Throttle
from tests.conftest import browser_of
from tests.insights.talk import Talk

pytestmark = pytest.mark.django_db


@pytest.fixture
def talk() -> Talk:
    told = Talk().asks().replies(source="delivery-cost").ends()
    Message.objects.filter(role="customer").update(text="<b>How much?</b>")
    Message.objects.filter(role="assistant").update(text="It costs **S$4.90**. [1]")
    return told


@pytest.fixture(autouse=True)
def a_mail_server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MAIL_CONFIGURED = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    for name in ("_visitors", "_recipients", "_machines"):
        monkeypatch.setattr(transcript_views, name, Throttle(per_minute=1, burst=3))


def path(talk: Talk, ending: str) -> str:
    return f"/chat/{talk.conversation.pk}/transcript{ending}"


def own(talk: Talk) -> Client:
    return browser_of(talk.conversation.customer_id)


def test_a_text_file(talk: Talk) -> None:
    response = own(talk).get(path(talk, ".txt"))
    text = response.content.decode("utf-8-sig")
    assert "Conversation with Larkwheel, begun on" in text
    assert "<b>How much?</b>" in text and "It costs **S$4.90**. [1]\n[1] delivery-cost" in text
    assert "attachment" in response["Content-Disposition"] and response["Cache-Control"] == "no-store"


def test_a_page_to_print(talk: Talk) -> None:
    page = own(talk).get(path(talk, "/")).content.decode()
    assert "&lt;b&gt;How much?&lt;/b&gt;" in page and "<strong>S$4.90</strong>" in page


def test_an_e_mail(talk: Talk) -> None:
    response = own(talk).post(path(talk, "/mail"), {"email": " alice@example.com "})
    assert response.json() == {"sent": True, "message": "Sent to alice@example.com.", "field": ""}
    (message,) = mail.outbox
    assert (message.to, message.subject) == (["alice@example.com"], "Your conversation with Larkwheel")
    assert "It costs **S$4.90**." in message.body and "somebody typed your address" in message.body


@pytest.mark.parametrize(
    "address",
    ["", "alice", "a@b", "a@example.com\nBcc: b@example.com", "a" * 300 + "@example.com", "a@example.com,b@example.com"],
)
def test_not_an_address(talk: Talk, address: str) -> None:
    response = own(talk).post(path(talk, "/mail"), {"email": address})
    assert (response.status_code, response.json()["field"], mail.outbox) == (400, "email", [])


def test_nobodys_mailbox_is_filled(talk: Talk) -> None:
    client = own(talk)
    codes = [client.post(path(talk, "/mail"), {"email": "a@example.com"}).status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429] and len(mail.outbox) == 3


def test_without_a_mail_server_the_customer_is_told(talk: Talk, settings: Any) -> None:
    settings.MAIL_CONFIGURED = False
    response = own(talk).post(path(talk, "/mail"), {"email": "a@example.com"})
    assert response.status_code == 503 and "cannot send e-mail" in response.json()["message"]
    assert "cannot send e-mail" in own(talk).get(f"/chat/{talk.conversation.pk}/").content.decode()


def test_a_mail_server_that_fails(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> int:
        raise smtplib.SMTPServerDisconnected("gone")

    monkeypatch.setattr(EmailBackend, "send_messages", fail)
    response = own(talk).post(path(talk, "/mail"), {"email": "a@example.com"})
    assert response.status_code == 503 and "could not be sent" in response.json()["message"]


@pytest.mark.parametrize("ending", [".txt", "/", "/mail"])
def test_a_stranger_gets_nothing(talk: Talk, mallory: uuid.UUID, ending: str) -> None:
    for client in (browser_of(mallory), Client()):
        send = client.post if ending == "/mail" else client.get
        assert send(path(talk, ending), {"email": "a@example.com"}).status_code == 404
    assert own(talk).put(path(talk, ending)).status_code == 405 and mail.outbox == []
