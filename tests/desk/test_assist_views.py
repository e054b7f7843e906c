"""Help beside the composer, seen from its addresses: who may, jobs of one's own, canned replies and their page."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.template import Context, Template
from django.test import Client

from chatbot.assist import canned, drafting, jobs, tasks
from chatbot.assist.canned import Words
from chatbot.assist.models import CannedReply, ConversationNote, ConversationReading
from chatbot.conversations.models import Conversation, Customer
from chatbot.errors import Unavailable
from chatbot.learning.review_models import AgentDraft
from support_portal.accounts.models import User
from tests.assist.talks import talk

pytestmark = pytest.mark.django_db
XSS = "<script>alert(1)</script>"


@pytest.fixture
def agent(client: Client, dana: User) -> Client:
    client.force_login(dana)
    return client


@pytest.fixture
def conversation(alice: Customer) -> Conversation:
    return talk(alice, "c: Can I return it?")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The broker: what was handed to which queue. A worker is there."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(tasks, "_send", lambda task, token, queue: found.append((token, queue)))
    monkeypatch.setattr(tasks.runtime, "workers", lambda: ["one"])
    return found


def _path(conversation: Conversation, act: str) -> str:
    return f"/desk/assist/{conversation.pk}/{act}/"


def test_a_draft_is_a_job_of_who_asked(
    agent: Client,
    client: Client,
    conversation: Conversation,
    sent: list[tuple[str, str]],
    dana: User,
    lena: User,
    monkeypatch: Any,
) -> None:
    job = agent.post(_path(conversation, "draft")).json()
    token, queue = sent[0]
    assert queue == "generation" and agent.get(job["look"]).json()["state"] == "waiting"
    draft = drafting.Draft("written", "Yes [1].", "Yes.", (drafting.Source(1, "returns", XSS, 2),))
    monkeypatch.setattr(tasks.runtime, "engine", lambda: None)
    monkeypatch.setattr(drafting, "draft_replies", lambda conversation_id, **more: [draft])
    tasks.draft_replies(token)
    found = agent.get(job["look"]).json()
    assert found["state"] == "done" and found["found"][0]["plain"] == "Yes."
    client.force_login(lena)
    assert client.get(job["look"]).status_code == client.post(job["cancel"]).status_code == 404


def test_what_fails_is_told_in_a_sentence(
    agent: Client, conversation: Conversation, sent: list[tuple[str, str]], monkeypatch: Any
) -> None:
    def fails(*args: Any, **more: Any) -> None:
        raise Unavailable("The model is busy with customers.")

    monkeypatch.setattr(tasks.runtime, "engine", lambda: None)
    monkeypatch.setattr(drafting, "draft_replies", fails)
    job = agent.post(_path(conversation, "draft")).json()
    tasks.draft_replies(sent[0][0])
    assert agent.get(job["look"]).json() == {"state": "failed", "found": None, "message": "The model is busy with customers."}
    tasks.draft_replies("gone")  # A job that nobody waits for any more.


def test_without_a_model_the_page_is_told_at_once(agent: Client, conversation: Conversation) -> None:
    response = agent.post(_path(conversation, "draft"))
    assert response.status_code == 503 and "No model is running" in response.json()["message"]


def test_rewriting_translating_and_faqs_begin(agent: Client, conversation: Conversation, sent: list[tuple[str, str]]) -> None:
    agent.post(_path(conversation, "rewrite"), {"text": "hello there", "style": "shorter"})
    agent.post(_path(conversation, "translate"), {"text": "hello there", "to": "de"})
    agent.post(_path(conversation, "faqs"))
    assert [queue for _, queue in sent] == ["generation", "generation", "general"]
    assert [jobs.asked_of(token) for token, _ in sent] == [
        {"text": "hello there", "style": "shorter"},
        {"text": "hello there", "to": "de"},
        {"conversation": str(conversation.pk)},
    ]
    assert agent.post(_path(conversation, "translate"), {"text": "x", "to": "klingon"}).status_code == 400


@pytest.mark.parametrize("act", ["draft", "rewrite", "translate", "faqs", "kept"])
def test_strangers_wrong_verbs_and_unknown_conversations(
    client: Client, dana: User, conversation: Conversation, act: str
) -> None:
    path = _path(conversation, act)
    assert client.post(path)["Location"].startswith("/accounts/login/")
    client.force_login(dana)
    assert client.get(path).status_code == 405
    unknown = path.replace(str(conversation.pk), str(uuid.uuid4()))
    assert client.post(unknown, {"to": "de", "draft": '{"plain": "x"}'}).status_code == 404


def test_a_draft_that_is_used_is_kept(conversation: Conversation, dana: User) -> None:
    agent = Client(enforce_csrf_checks=True)
    agent.force_login(dana)
    agent.cookies["csrftoken"] = token = "a" * 32
    draft = {"plain": "Yes.", "sources": [{"key": "returns", "title": "T", "revision": 2}, "odd"], "model_version": "m"}

    def keep(text: str) -> int:
        return agent.post(_path(conversation, "kept"), {"draft": text}, headers={"X-CSRFToken": token}).status_code

    assert keep(json.dumps(draft)) == 200
    kept = AgentDraft.objects.get()
    assert (kept.draft, kept.agent_id, kept.sources[0]["revision"], kept.model_version) == ("Yes.", dana.pk, "2", "m")
    for bad in ("", "[]", "{", '{"plain": ""}', '{"plain": "x", "sources": 7}', '"x"', '"' + "x" * 70_000 + '"'):
        assert keep(bad) == 400, bad
    assert AgentDraft.objects.count() == 1


def test_the_slash_menu_and_its_counts(agent: Client, conversation: Conversation, lena: User) -> None:
    reply = canned.add(Words("hi", "Greeting", "Hello {customer_name|there}, {agent_name} here."), author=lena)
    found = agent.get(_path(conversation, "canned")).json()["replies"]
    assert [one["text"] for one in found] == ["Hello there, Dana here."]
    assert agent.post(found[0]["used"]).status_code == 204
    reply.refresh_from_db()
    assert reply.use_count == 1 and reply.last_used_at is not None
    assert agent.get(f"/desk/assist/{uuid.uuid4()}/canned/").status_code == 404


def test_leads_write_canned_replies_and_agents_read_them(client: Client, dana: User, lena: User) -> None:
    client.force_login(dana)
    assert (client.get("/desk/canned/").status_code, client.get("/desk/canned/add/").status_code) == (200, 403)
    client.force_login(lena)
    form = {"shortcut": "hi", "title": XSS, "text": "Hello {agent_name}", "locale": "", "team": ""}
    assert client.post("/desk/canned/add/", form)["Location"] == "/desk/canned/"
    reply = CannedReply.objects.get()
    page = client.get("/desk/canned/").content.decode()
    assert "/hi" in page and XSS not in page
    assert "As a customer might read it" in client.get(f"/desk/canned/{reply.pk}/").content.decode()
    assert "is taken already" in client.post("/desk/canned/add/", form).content.decode()
    assert "There is no variable" in client.post("/desk/canned/add/", form | {"shortcut": "a", "text": "{evil}"}).content.decode()
    client.post(f"/desk/canned/{reply.pk}/", form | {"text": "Hello."})
    assert "Hello." in client.get("/desk/canned/?q=hello").content.decode()
    assert "Nothing found" in client.get("/desk/canned/?q=%00zzz").content.decode()
    client.post(f"/desk/canned/{reply.pk}/remove/")
    assert not CannedReply.objects.exists() and client.post(f"/desk/canned/{reply.pk}/remove/").status_code == 404


def _panel(conversation: Conversation, *, may_write: bool) -> str:
    template = Template('{% include "desk/assist_panel.html" %}')
    return template.render(Context({"conversation": conversation, "may_write": may_write}))


def test_the_panel_shows_mood_topic_and_the_note(agent: Client, conversation: Conversation) -> None:
    ConversationReading.objects.create(conversation=conversation, sentiment="angry", seq=1)
    Conversation.objects.filter(pk=conversation.pk).update(topic="Returns & refunds")
    conversation.refresh_from_db()
    note = ConversationNote.objects.create(conversation=conversation, kind="handoff", text=f"- {XSS}", seq=1, to_write=True)
    html = _panel(conversation, may_write=True)
    assert "Angry" in html and "Returns &amp; refunds" in html and "data-pending" in html and XSS not in html
    assert agent.get(_path(conversation, "note")).json()["done"] is False
    ConversationNote.objects.filter(pk=note.pk).update(to_write=False, model_version="m")
    told = agent.get(_path(conversation, "note")).json()
    assert told["done"] and "Written by the model" in told["html"] and XSS not in told["html"]
    assert _panel(conversation, may_write=False).strip() == ""
