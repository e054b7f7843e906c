"""Every definition, on conversations made by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chatbot.conversations.models import Conversation
from chatbot.insights import facts
from chatbot.insights.definitions import OUTCOMES
from chatbot.insights.models import ConversationFact
from chatbot.learning.models import Feedback, Satisfaction
from support_portal.accounts.models import User
from tests.insights.talk import HOUR, Talk

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def test_every_outcome_is_defined_and_nothing_else() -> None:
    assert [definition.name for definition in OUTCOMES] == list(ConversationFact.Outcome.values)


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        # A thumb up for the last answer confirms, one for an earlier answer does not.
        (lambda: Talk().asks().replies(rating=1), "confirmed"),
        (lambda: Talk(begun=HOUR).asks().replies(rating=1), "confirmed"),
        (lambda: Talk().asks().replies(rating=1).asks().replies(), "assumed"),
        (lambda: Talk().asks().replies(rating=1).asks().replies("handoff"), "abandoned"),
        # Points for the bot.
        (lambda: Talk().asks().replies().ends().rated("bot", 4), "confirmed"),
        (lambda: Talk().asks().replies().ends().rated("bot", 3), "assumed"),
        (lambda: Talk().asks().replies().ends().rated("bot", 2), "abandoned"),
        (lambda: Talk().asks().replies().ends().rated("bot", None), "assumed"),
        # Silence, and the closing that needs none.
        (lambda: Talk().asks().replies(), "assumed"),
        (lambda: Talk().asks().replies("compose"), "assumed"),
        (lambda: Talk(begun=23 * HOUR).asks().replies(), "open"),
        (lambda: Talk(begun=23 * HOUR).asks().replies().ends(), "assumed"),
        (lambda: Talk(begun=HOUR).asks(), "open"),
        # Without help.
        (lambda: Talk().asks().replies(rating=-1), "abandoned"),
        (lambda: Talk().asks().replies("clarify"), "abandoned"),
        (lambda: Talk().asks().replies("handoff"), "abandoned"),
        (lambda: Talk().asks().replies("", status="failed"), "abandoned"),
        (lambda: Talk().asks().replies(status="stopped"), "abandoned"),
        (lambda: Talk().asks(), "abandoned"),
        (lambda: Talk(begun=HOUR).asks().replies("handoff").ends(), "abandoned"),
        # Persons: waited for, or asked for in vain.
        (lambda: Talk().asks().replies().waits(), "handed_off"),
        (lambda: Talk().asks().replies("handoff").happens("asked").happens("expired", later=5 * MINUTE), "abandoned"),
        (lambda: Talk().asks().replies().happens("asked").happens("expired", later=5 * MINUTE), "abandoned"),
        (lambda: Talk().asks().happens("asked").happens("cancelled", later=MINUTE).replies(), "assumed"),
        (lambda: Talk().happens("asked").happens("cancelled", later=HOUR).happens("asked", later=HOUR).asks(), "abandoned"),
        (lambda: Talk().asks().happens("asked").happens("expired", later=MINUTE).asks().replies(rating=1), "confirmed"),
    ],
)  # fmt: skip
def test_outcome(told: Any, outcome: str, db: None) -> None:
    assert told().fact().outcome == outcome


def test_a_persons_conversation_is_handed_off_whatever_follows(dana: User) -> None:
    assert Talk().asks().waits().person(dana).fact().outcome == "handed_off"
    assert Talk().asks().person(dana).asks().replies(rating=1).ends().rated("bot", 5).fact().outcome == "handed_off"


@pytest.mark.parametrize(
    ("told", "reopened"),
    [
        (lambda: Talk().asks().replies().ends(), False),
        (lambda: Talk().asks().replies().ends().opens_again(later=71 * HOUR).asks().replies(), True),
        (lambda: Talk(begun=10 * 24 * HOUR).asks().replies().ends().opens_again(later=73 * HOUR).asks().replies(), False),
        # Written again without ever being closed: after a day of silence it had ended.
        (lambda: Talk().asks().replies().asks(later=23 * HOUR).replies(), False),
        (lambda: Talk().asks().replies().asks(later=25 * HOUR).replies(), True),
        (lambda: Talk(begun=10 * 24 * HOUR).asks().replies().asks(later=97 * HOUR).replies(), False),
    ],
)
def test_reopened_within_72_hours(told: Any, reopened: bool, db: None) -> None:
    assert told().fact().reopened is reopened


def test_times_of_the_bot() -> None:
    fact = Talk().asks().replies(later=timedelta(seconds=6)).asks(later=MINUTE).replies(later=timedelta(seconds=4)).fact()
    assert (fact.first_response_s, fact.person_response_s, fact.resolution_s) == (6.0, None, 70.0)
    assert (fact.customer_messages, fact.bot_answers, fact.agent_messages) == (2, 2, 0)
    assert Talk(begun=HOUR).asks().replies().fact().resolution_s is None


def test_times_of_a_person(dana: User) -> None:
    talk = (
        Talk().asks().replies(later=timedelta(seconds=5)).waits().person(dana, later=3 * MINUTE).person(dana).ends(later=MINUTE)
    )
    fact = talk.fact()
    assert (fact.first_response_s, fact.person_response_s, fact.resolution_s) == (5.0, 180.0, 5.0 + 180 + 120 + 60)
    assert (fact.agent_id, fact.agent_messages, fact.handoff_reason) == (dana.pk, 2, "asked")


def test_the_agent_is_the_last_one_who_wrote(dana: User, omar: User) -> None:
    assert Talk().asks().person(dana).person(omar).fact().agent_id == omar.pk


def test_speed_is_that_of_the_first_reply_the_model_wrote() -> None:
    talk = Talk().asks().replies(ttft_ms=5.0)
    begun = talk.at
    talk.replies(
        "compose",
        started_at=begun + timedelta(seconds=2),
        created_at=begun,
        ttft_ms=1500.0,
        completion_tokens=40,
        trace={"queued_ms": 500, "tokens_per_s": 12.5},
    ).replies("compose", ttft_ms=9000.0, completion_tokens=40, trace={"queued_ms": 9000, "tokens_per_s": 1.0})
    fact = talk.fact()
    assert (fact.queue_s, fact.first_text_s, fact.tokens_per_s) == (2.5, 3.5, 12.5)


def test_satisfaction_ratings_sources_and_what_the_conversation_says() -> None:
    talk = Talk(locale="en", language="zh-hans", topic="Delivery", sentiment="negative", channel="widget")
    talk.asks().replies(rating=1, source="returns").asks().replies(rating=-1, source="returns").replies(source="delivery")
    fact = talk.ends().rated("bot", 2).rated("person", 5).fact()
    assert (fact.csat_bot, fact.csat_person, fact.thumbs_up, fact.thumbs_down) == (2, 5, 1, 1)
    assert sorted(fact.sources) == ["delivery", "returns"]
    assert (fact.locale, fact.topic, fact.sentiment, fact.channel) == ("zh-hans", "Delivery", "negative", "widget")


def test_only_what_changed_is_counted_again() -> None:
    talks = [Talk().asks().replies() for _ in range(3)]
    assert facts.refresh() == 3
    Conversation.objects.update(updated_at=timezone.now() - HOUR)
    assert facts.refresh() == 0
    Feedback.objects.create(
        generation=talks[0].conversation.generations.get(), message=talks[0].conversation.messages.last(), rating=1
    )
    assert talks[0].fact().outcome == "confirmed"
    Feedback.objects.all().delete()
    assert talks[0].fact().outcome == "assumed"


def test_silence_settles_without_a_change() -> None:
    talk = Talk(begun=23 * HOUR).asks().replies()
    assert talk.fact().outcome == "open"
    Conversation.objects.update(updated_at=timezone.now() - 20 * HOUR)
    assert facts.refresh() == 0
    assert facts.refresh(now=timezone.now() + 2 * HOUR) == 1
    assert ConversationFact.objects.get().outcome == "assumed"


def test_what_is_deleted_is_gone_here_too() -> None:
    talk = Talk().asks().replies().rated("bot", 5)
    talk.fact()
    talk.conversation.delete()
    assert not ConversationFact.objects.exists() and not Satisfaction.objects.exists()


def test_a_conversation_without_a_customers_word_is_not_counted() -> None:
    Talk()
    facts.refresh()
    assert not ConversationFact.objects.exists()


def test_the_query_count_follows_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        Talk().asks().replies()
    monkeypatch.setattr(facts, "BATCH", 2)
    with CaptureQueriesContext(connection) as caught:
        facts.refresh()
    # Lock, state, what changed, two batches, state (read for its lock, written, in a savepoint), unlock.
    assert len([query for query in caught if "SAVEPOINT" not in query["sql"]]) <= 9
