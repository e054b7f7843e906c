"""Test questions: what can be kept, files in and out, questions out of conversations, trials on the bench."""

from __future__ import annotations

import json

import pytest

from chatbot import runtime
from chatbot.answering.prompting import Turn
from chatbot.conversations.models import Customer
from chatbot.engine.fake import ScriptedEngine
from chatbot.errors import Conflict, InvalidInput, NotFound
from chatbot.knowledge import authoring
from chatbot.knowledge.content import FaqText
from chatbot.quality import suite, trials
from chatbot.quality.asked import Asked
from chatbot.quality.models import TestQuestion
from tests.conversations.factories import message, post
from tests.quality.conftest import SUITE

pytestmark = pytest.mark.django_db


def test_the_same_question_is_kept_once(shop: None) -> None:
    asked = Asked("And on Sunday?", history=(Turn("user", "When are you open?"),), expected="hours")
    kept = suite.add_question(asked, author=None, note="x" * 400)
    assert kept.asked() == asked and len(kept.note) == 300
    with pytest.raises(Conflict):
        suite.add_question(asked, author=None)
    other = suite.add_question(Asked("And on Sunday?", expected="hours"), author=None)
    with pytest.raises(Conflict):
        suite.edit_question(other.pk, asked=asked, note="")
    suite.edit_question(other.pk, asked=Asked("On Monday?", expected=None), note="")
    assert suite.access_question(other.pk).asked().expected is None
    suite.remove_question(other.pk)
    with pytest.raises(NotFound):
        suite.remove_question(other.pk)


@pytest.mark.parametrize("asked", [Asked(" "), Asked("x" * 4001), Asked("a", expected="no-such-faq")])
def test_what_cannot_be_asked_is_refused(shop: None, asked: Asked) -> None:
    with pytest.raises(InvalidInput):
        suite.add_question(asked, author=None)
    assert not TestQuestion.objects.exists()


def test_files_go_out_and_come_in_unchanged(questions: None) -> None:
    exported = suite.export_questions()
    assert len(exported.splitlines()) == len(SUITE) and '"expected": null' in exported
    again = suite.import_questions(exported.encode(), author=None)
    assert (again.created, again.changed, again.unchanged, again.unknown_keys) == (0, 0, 4, ())
    line = json.loads(exported.splitlines()[0]) | {"expected": "elsewhere"}
    changed = suite.import_questions(json.dumps(line).encode(), author=None)
    assert (changed.changed, changed.unknown_keys) == (1, ("elsewhere",))
    with pytest.raises(InvalidInput, match="line 2"):
        suite.import_questions(exported.splitlines()[0].encode() + b"\nnot json", author=None)
    with pytest.raises(InvalidInput, match="at most"):
        suite.import_questions(b" " * (10 * 1024 * 1024 + 1), author=None)


def test_a_question_out_of_a_conversation_brings_what_was_said(alice: Customer) -> None:
    first = post(alice, "When are you open?")
    reply = message(first)
    assert suite.question_of_message(reply.pk).text == "When are you open?"
    assert reply.in_reply_to and suite.question_of_message(reply.in_reply_to.pk).history == ()
    with pytest.raises(NotFound):
        suite.question_of_message(alice.pk)


def test_a_trial_is_its_authors_alone(shop: None, engine: ScriptedEngine) -> None:
    token = trials.begin_trial(Asked("When are the stores open?", judged=False), user_id=7)
    assert trials.read_trial(token, user_id=7).state == "waiting"
    trials.run_trial(token)
    found = trials.read_trial(token, user_id=7)
    assert found.state == "done" and found.result
    assert found.result["decision"] == "direct" and found.result["citations"][0]["key"] == "hours"
    assert found.result["trace"]["ranked"][0]["key"] == "hours" and found.result["total_ms"] > 0
    with pytest.raises(NotFound):
        trials.read_trial(token, user_id=8)
    runtime.valkey().flushdb()
    with pytest.raises(NotFound):
        trials.read_trial(token, user_id=7)
    trials.run_trial(token)  # too late: nothing to do, nothing raised


def test_a_trial_uses_the_draft_and_shows_the_prompt(shop: None, engine: ScriptedEngine) -> None:
    words = FaqText("Do you sell gift vouchers?", "Yes, from S$20.", phrasings=["gift voucher", "gift card"])
    draft = authoring.create_faq("vouchers", locale="en", text=words, author=None)
    asked = Asked("Do you sell gift vouchers? And when are the stores open?", judged=False)
    token = trials.begin_trial(asked, user_id=1, draft=draft.pk)
    trials.run_trial(token)
    result = trials.read_trial(token, user_id=1).result
    assert result and "Yes, from S$20." in result["text"] + "".join(part["content"] for part in result["prompt"])
    gone = trials.begin_trial(asked, user_id=1, draft=draft.pk + 99)
    trials.run_trial(gone)
    assert trials.read_trial(gone, user_id=1).error == "faq_not_found"
