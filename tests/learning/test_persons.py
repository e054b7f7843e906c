from __future__ import annotations

import json
import uuid
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from chatbot.conversations.models import Conversation, Customer, Message
from chatbot.staffing.models import AuditEntry
from tests.conversations.factories import post

pytestmark = pytest.mark.django_db(transaction=True)


def test_everything_said_is_exported_and_nothing_of_others(alice: Customer, amir: Customer) -> None:
    accepted = post(alice, "Where is my parcel?")
    post(amir, "Is the shop open?")
    out = StringIO()
    call_command("exportperson", str(accepted.conversation.id), stdout=out)
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    assert rows[0] == {"kind": "customer", "id": str(alice.pk), "locale": alice.locale, "since": rows[0]["since"]}
    assert [row["text"] for row in rows if row["kind"] == "message" and row["from"] == "customer"] == ["Where is my parcel?"]
    assert "shop" not in out.getvalue()


def test_an_erased_person_is_gone_and_the_deed_is_recorded(alice: Customer, amir: Customer) -> None:
    post(alice, "Where is my parcel?")
    kept = post(amir, "Is the shop open?")
    out = StringIO()
    call_command("eraseperson", str(alice.pk), "--yes", stdout=out)
    assert not Customer.objects.filter(pk=alice.pk).exists()
    assert [conversation.pk for conversation in Conversation.objects.all()] == [kept.conversation.id]
    assert not Message.objects.filter(text__contains="parcel").exists()
    assert AuditEntry.objects.filter(action="person.erased", object=f"customer {alice.pk}").count() == 1
    assert "1 conversations" in out.getvalue()


def test_without_a_yes_nothing_goes(alice: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    post(alice)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    with pytest.raises(CommandError, match="nothing was erased"):
        call_command("eraseperson", str(alice.pk))
    assert Customer.objects.filter(pk=alice.pk).exists()


@pytest.mark.parametrize("command", ["exportperson", "eraseperson", "withdrawconsent"])
def test_an_unknown_id_says_what_to_give(command: str) -> None:
    with pytest.raises(CommandError, match="customer's or a conversation's"):
        call_command(command, str(uuid.uuid4()))
