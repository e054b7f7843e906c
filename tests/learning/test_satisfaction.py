"""What customers think of a conversation that has ended: of the bot and of the person, apart."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chatbot import protocol
from chatbot.conversations import transcripts
from chatbot.conversations.ending import end_conversation
from chatbot.conversations.models import Conversation, ConversationEvent, Customer, Generation
from chatbot.errors import ChatbotError, Conflict, NotFound
from chatbot.learning.models import Satisfaction
from chatbot.learning.satisfaction import record_satisfaction
from support_portal.accounts.models import User
from tests.insights.talk import Talk

pytestmark = pytest.mark.django_db


def asked_about(conversation: Conversation) -> list[tuple[str, int]]:
    found = Conversation.objects.get(pk=conversation.pk)
    return [(one.about, one.score) for one in transcripts.conversation_view(found).satisfaction]


def give(talk: Talk, about: str, score: int, *, comment: str = "") -> None:
    row = talk.conversation
    record_satisfaction(row.pk, customer_id=row.customer_id, about=about, score=score, comment=comment)  # type: ignore[arg-type]


def test_asked_at_the_end_about_who_spoke(dana: User) -> None:
    talk = Talk().asks().replies()
    assert asked_about(talk.conversation) == []
    assert asked_about(talk.ends().conversation) == [("bot", 0)]
    assert asked_about(Talk().asks().person(dana).ends().conversation) == [("person", 0)]
    assert asked_about(Talk().asks().replies().person(dana).ends().conversation) == [("bot", 0), ("person", 0)]


def test_points_can_be_changed_and_are_told_to_other_tabs(dana: User, django_capture_on_commit_callbacks: object) -> None:
    talk = Talk().asks().replies().person(dana).ends()
    before = Conversation.objects.get(pk=talk.conversation.pk)
    with django_capture_on_commit_callbacks(execute=True) as callbacks:  # type: ignore[operator]
        give(talk, "bot", 2, comment="  too slow ")
    assert len(callbacks) == 1
    give(talk, "bot", 4)
    after = Conversation.objects.get(pk=talk.conversation.pk)
    assert asked_about(after) == [("bot", 4), ("person", 0)]
    assert after.version == before.version + 2 and after.updated_at > before.updated_at
    assert Satisfaction.objects.get().score == 4


def test_who_would_rather_not_tell_is_not_asked_again() -> None:
    talk = Talk().asks().replies().ends()
    give(talk, "bot", 0)
    assert asked_about(talk.conversation) == [] and Satisfaction.objects.get().score is None
    give(talk, "bot", 5)
    give(talk, "bot", 0)
    assert Satisfaction.objects.get().score == 5


def test_refused_while_it_goes_on_for_nobody_and_for_strangers(mallory: uuid.UUID) -> None:
    talk = Talk().asks().replies()
    with pytest.raises(Conflict) as going_on:
        give(talk, "bot", 5)
    talk.ends()
    with pytest.raises(Conflict) as nobody:
        give(talk, "person", 5)
    with pytest.raises(NotFound):
        record_satisfaction(talk.conversation.pk, customer_id=mallory, about="bot", score=5)
    assert (going_on.value.code, nobody.value.code) == ("conversation_not_ended", "nobody_to_rate")
    assert not Satisfaction.objects.exists()


@pytest.mark.parametrize("score", [-1, 6, 2.5, "5", None])
def test_the_protocol_knows_one_to_five(score: object) -> None:
    frame = {"type": "satisfaction.give", "conversation_id": str(uuid.uuid4()), "about": "bot", "score": score}
    with pytest.raises(ValueError):
        protocol.CLIENT_FRAMES.validate_python(frame)


def test_an_open_conversation_costs_no_query() -> None:
    talk = Talk().asks().replies()
    with CaptureQueriesContext(connection) as caught:
        transcripts.conversation_view(talk.conversation)
    assert len(caught) == 0


def test_a_customer_ends_an_own_conversation(alice: Customer, mallory: uuid.UUID) -> None:
    talk = Talk(status="open").asks().replies()
    row = talk.conversation
    with pytest.raises(ChatbotError):
        end_conversation(row.pk, customer_id=mallory)
    for _ in range(2):
        end_conversation(row.pk, customer_id=row.customer_id)
    row.refresh_from_db()
    event = ConversationEvent.objects.get(conversation=row)
    assert (row.status, row.resolved_by, event.kind, event.actor) == ("resolved", None, "resolved", None)


def test_ending_also_ends_the_wait_for_a_person_and_the_reply_in_work() -> None:
    talk = Talk().asks().replies(status="pending").waits()
    Generation.objects.update(status="pending", finished_at=None)
    end_conversation(talk.conversation.pk, customer_id=talk.conversation.customer_id)
    row = Conversation.objects.get(pk=talk.conversation.pk)
    assert (row.status, row.waiting_since) == ("resolved", None)
    assert Generation.objects.get().status == "stopped"
