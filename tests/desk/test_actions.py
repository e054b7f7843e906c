"""What agents do at the desk: deeds, many at once, undo, messages and notes; who may, and what is refused."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client

from chatbot.conversations import labels, takeover
from chatbot.conversations.custody import Custody, custody_of
from chatbot.conversations.models import Conversation, Customer, Message
from chatbot.conversations.staff_models import Mention, Note
from chatbot.staffing.access import default_team
from support_portal.accounts.models import User
from support_portal.desk.models import SavedView

pytestmark = pytest.mark.django_db
JSON = {"HTTP_ACCEPT": "application/json"}


@pytest.fixture
def agent(client: Client, dana: User) -> Client:
    client.force_login(dana)
    return client


@pytest.fixture
def talk(alice: Customer) -> Conversation:
    talk = Conversation.objects.create(customer=alice, title="Where is it?", last_seq=1, last_customer_seq=1)
    Message.objects.create(conversation=talk, seq=1, role="customer", text="Where is it?")
    return talk


def _do(client: Client, talk: Conversation, action: str, **fields: Any) -> Any:
    return client.post(f"/desk/{talk.pk}/do/{action}/", fields, **JSON)


def test_take_write_and_hand_back(agent: Client, talk: Conversation, dana: User) -> None:
    assert _do(agent, talk, "take").json()["said"] == "The conversation is yours. The bot is silent."
    sent = {"text": "I am here.", "client_message_id": str(uuid.uuid4())}
    views = [agent.post(f"/desk/{talk.pk}/messages/", sent, **JSON).json()["message"] for _ in range(2)]
    assert views[0]["id"] == views[1]["id"] and views[0]["author"] == "Dana"
    assert talk.messages.filter(role="agent").count() == 1
    assert _do(agent, talk, "hand-back", note="She is in a hurry").status_code == 200
    assert (Conversation.objects.get().status, Note.objects.get().text) == ("open", "She is in a hurry")


def test_a_form_without_script_goes_back_to_its_page(agent: Client, talk: Conversation) -> None:
    response = agent.post(f"/desk/{talk.pk}/do/take/", HTTP_REFERER=f"http://testserver/desk/{talk.pk}/", follow=True)
    assert "The conversation is yours." in response.content.decode() and "Hand back" in response.content.decode()
    response = agent.post(f"/desk/{talk.pk}/do/take/", HTTP_REFERER="https://elsewhere.example/")
    assert response["Location"] == "/desk/"


def test_only_the_holder_writes(agent: Client, talk: Conversation, omar: User) -> None:
    takeover.take(talk.pk, agent_id=omar.pk)
    sent = {"text": "Me too", "client_message_id": str(uuid.uuid4())}
    answer = agent.post(f"/desk/{talk.pk}/messages/", sent, **JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_yours")
    answer = _do(agent, talk, "take")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "already_taken")
    assert _do(agent, talk, "take", instead_of=omar.pk).status_code == 200


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("take", {}),
        ("resolve", {}),
        ("assign", {"value": "me"}),
        ("assign", {"value": "queue"}),
        ("priority", {"value": "2"}),
        ("tag", {"value": "vip"}),
        ("untag", {"value": "old"}),
    ],
)
@pytest.mark.parametrize("start", ["open", "waiting", "held"])
def test_what_is_done_can_be_undone(
    agent: Client, talk: Conversation, dana: User, omar: User, action: str, fields: dict[str, str], start: str
) -> None:
    labels.add_tag(talk.pk, by_id=dana.pk, tag="old")
    if start == "waiting":
        takeover.assign(talk.pk, by_id=dana.pk)
    if start == "held":
        takeover.take(talk.pk, agent_id=dana.pk)
    before = custody_of(Conversation.objects.get(pk=talk.pk))
    undo = _do(agent, talk, action, **fields).json()["undo"]
    after = custody_of(Conversation.objects.get(pk=talk.pk))
    assert bool(undo) == (after != before)
    if undo:
        assert agent.post("/desk/undo/", {"undo": json.dumps(undo)}, **JSON).status_code == 200
    assert _without_team(custody_of(Conversation.objects.get(pk=talk.pk))) == _without_team(before)


def _without_team(custody: Custody) -> Custody:
    """No team and the default team are the same queue."""
    assert custody.team_id in (None, default_team().pk)
    return replace(custody, team_id=None)


def test_many_at_once_with_one_that_is_refused(agent: Client, alice: Customer, omar: User) -> None:
    talks = [Conversation.objects.create(customer=alice) for _ in range(3)]
    takeover.take(talks[0].pk, agent_id=omar.pk)
    fields = {"ids": [str(talk.pk) for talk in talks], "action": "resolve"}
    answer = agent.post("/desk/many/", fields, **JSON).json()
    assert answer["said"].startswith("Done for 2 conversations. 1 refused: You do not have")
    assert [Conversation.objects.get(pk=talk.pk).status for talk in talks] == ["held", "resolved", "resolved"]
    agent.post("/desk/undo/", {"undo": json.dumps(answer["undo"])}, **JSON)
    assert [Conversation.objects.get(pk=talk.pk).status for talk in talks] == ["held", "open", "open"]


def test_a_note_calls_a_colleague(agent: Client, talk: Conversation, omar: User) -> None:
    sent = {"text": "@omar please look <b>now</b>", "client_message_id": str(uuid.uuid4())}
    for _ in range(2):
        note = agent.post(f"/desk/{talk.pk}/notes/", sent, **JSON).json()["note"]
    assert Note.objects.count() == 1 and "<b>" not in note["html"]
    assert Mention.objects.get().agent == omar
    text = agent.get(f"/desk/{talk.pk}/").content.decode()
    assert "Note for colleagues" in text and "please look" in text
    other = Client()
    other.force_login(omar)
    assert 'data-count="mentions">1<' in other.get("/desk/?queue=mentions").content.decode()
    other.post(f"/desk/{talk.pk}/mentions-seen/", **JSON)
    assert 'data-count="mentions" hidden' in other.get("/desk/?queue=mentions").content.decode()


@pytest.mark.parametrize(
    ("path", "fields", "status", "code"),
    [
        ("do/dance/", {}, 400, "action_unknown"),
        ("do/assign/", {"value": "user:0"}, 400, "assignee_unknown"),
        ("do/assign/", {"value": "team:999"}, 404, "team_not_found"),
        ("do/assign/", {"value": "x"}, 400, "assignee_unknown"),
        ("do/priority/", {"value": "9"}, 400, "priority_unknown"),
        ("do/priority/", {"value": "x"}, 400, "value_invalid"),
        ("do/tag/", {"value": " "}, 400, "tag_invalid"),
        ("do/reopen/", {}, 409, "not_resolved"),
        ("do/release/", {}, 409, "not_yours"),
        ("do/contact-done/", {"value": "77"}, 404, "contact_not_found"),
        ("messages/", {"text": "hi", "client_message_id": "x"}, 400, "id_invalid"),
        ("notes/", {"text": "x" * 100_000, "client_message_id": str(uuid.uuid4())}, 400, "note_too_long"),
        ("notes/", {"text": " ", "client_message_id": str(uuid.uuid4())}, 400, "note_empty"),
    ],
)
def test_bad_commands_are_refused(
    agent: Client, talk: Conversation, path: str, fields: dict[str, str], status: int, code: str
) -> None:
    answer = agent.post(f"/desk/{talk.pk}/{path}", fields, **JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    "undo", ["", "x", "{}", "[]", "[1]", '[{"id": 1}]', '[{"id": "x", "status": "open", "assigned_to": "y"}]']
)
def test_a_broken_undo_is_refused(agent: Client, undo: str) -> None:
    assert agent.post("/desk/undo/", {"undo": undo}, **JSON).json()["error"]["code"] == "undo_unknown"


def test_nothing_selected(agent: Client) -> None:
    assert agent.post("/desk/many/", {"action": "resolve"}, **JSON).json()["error"]["code"] == "nothing_selected"


def test_unknown_conversations_and_wrong_verbs(agent: Client, talk: Conversation) -> None:
    assert agent.post(f"/desk/{uuid.uuid4()}/do/take/", **JSON).status_code == 404
    assert agent.get(f"/desk/{talk.pk}/do/take/").status_code == 405
    assert agent.post(f"/desk/{talk.pk}/state/").status_code == 405


def test_saved_lists_are_each_persons_own(agent: Client, omar: User) -> None:
    saved = agent.post("/desk/lists/", {"name": "Upset  VIPs", "query": "?queue=all&tag=vip&sentiment=negative"}, **JSON).json()[
        "view"
    ]
    assert saved["name"] == "Upset VIPs" and "Upset VIPs" in agent.get("/desk/").content.decode()
    agent.post("/desk/lists/", {"name": "Upset VIPs", "query": "?queue=mine"}, **JSON)
    assert SavedView.objects.get().query == "?queue=mine"
    other = Client()
    other.force_login(omar)
    assert other.post(f"/desk/lists/{saved['id']}/forget/", **JSON).status_code == 404
    assert agent.post(f"/desk/lists/{saved['id']}/forget/", **JSON).status_code == 200
    assert not SavedView.objects.exists()
    for name, query in (("", "?queue=all"), ("x" * 61, "?queue=all"), ("x", "?queue=odd")):
        assert agent.post("/desk/lists/", {"name": name, "query": query}, **JSON).status_code == 400
