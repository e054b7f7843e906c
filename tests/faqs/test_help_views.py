"""Help while writing, through the pages: who may ask, and whose job it is."""

from __future__ import annotations

import pytest
from django.test import Client

from chatbot.assist import jobs, tasks
from chatbot.assist.jobs import Job
from support_portal.accounts.models import User

pytestmark = pytest.mark.django_db
FORM = {"key": "a", "locale": "en", "question": "Why?", "answer": "So.", "phrasings": "one\n\ntwo"}


@pytest.fixture
def editor(client: Client, erin: User) -> Client:
    client.force_login(erin)
    return client


def test_a_check_is_begun_looked_at_and_taken_back(editor: Client, omar: User) -> None:
    begun = editor.post("/faqs/check/", FORM).json()
    assert editor.get(begun["look"]).json() == {"state": "waiting", "found": None, "message": ""}
    token = begun["look"].split("/")[3]
    assert jobs.asked_of(token) == FORM | {"phrasings": ["one", "two"]}
    other = Client()
    other.force_login(omar)
    assert other.get(begun["look"]).status_code == other.post(begun["cancel"]).status_code == 404
    jobs.report(token, Job("done", []))
    assert editor.get(begun["look"]).json()["state"] == "done"
    assert editor.post(begun["cancel"]).json() == {"state": "cancelled"}


def test_what_is_too_long_is_cut_and_odd_input_is_no_error(editor: Client) -> None:
    long = {"key": "\x00" * 200, "question": "q" * 9000, "answer": "a" * 90_000, "phrasings": "p\n" * 900}
    assert editor.post("/faqs/check/", long).status_code == 200
    assert editor.post("/faqs/check/", {}).status_code == 200
    assert editor.get("/faqs/help/" + "x" * 300 + "/").status_code == 404


def test_suggestions_are_honest_without_a_model(editor: Client) -> None:
    response = editor.post("/faqs/suggest/", FORM)
    assert response.status_code == 503 and response.json()["message"] == tasks.NO_MODEL
    assert editor.post("/faqs/suggest/", FORM | {"question": " "}).status_code == 400


def test_agents_may_not_and_verbs_are_right(editor: Client, dana: User) -> None:
    assert editor.get("/faqs/check/").status_code == editor.get("/faqs/suggest/").status_code == 405
    assert editor.post("/faqs/help/x/").status_code == editor.get("/faqs/help/x/cancel/").status_code == 405
    agent = Client()
    agent.force_login(dana)
    assert agent.post("/faqs/check/", FORM).status_code == agent.post("/faqs/suggest/", FORM).status_code == 403
    assert agent.get("/faqs/help/x/").status_code == 403
