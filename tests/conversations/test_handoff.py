from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from chatbot import runtime
from chatbot.conversations import (
    agent_messages,
    contacts,
    expiring,
    handoff,
    intake,
    person_line,
    presence,
    takeover,
    transcripts,
)
from chatbot.conversations.models import Conversation, Customer, Generation, Message
from chatbot.conversations.staff_frames import ConversationTouched
from chatbot.conversations.staff_models import AgentPresence, ContactRequest, ConversationEvent
from chatbot.errors import ChatbotError, Conflict, InvalidInput
from chatbot.protocol import MessageAccepted
from chatbot.staffing.access import default_team
from support_portal.accounts.models import User
from tests.conversations.factories import post
from tests.conversations.test_reply import frames
from tests.conversations.test_takeover import kinds, notices, row

NEVER = datetime(2000, 1, 1, tzinfo=UTC)


def ask(accepted: MessageAccepted, customer: Customer) -> None:
    intake.request_person(accepted.conversation.id, customer_id=customer.pk)


def close_team(*, opens_in_a_week: bool) -> None:
    """Nobody is there now; on the weekday that was yesterday somebody is, or never."""
    team = default_team()
    team.always_open = False
    team.save()
    if opens_in_a_week:
        yesterday = (timezone.now() - timedelta(days=1)).weekday()
        team.hours.create(weekday=yesterday, opens_minute=9 * 60, closes_minute=10 * 60)


@pytest.mark.parametrize(
    ("decision", "reason", "kept"),
    [
        ("handoff", "unknown", "nothing_known"),
        ("handoff", "model_declined", "unsupported"),
        ("clarify", "unsure", "low_confidence"),
        ("direct", "confident", "asked"),
    ],
)
def test_why_a_person_was_asked_for_is_kept(alice: Customer, decision: str, reason: str, kept: str) -> None:
    accepted = post(alice)
    assert accepted.reply is not None
    Message.objects.filter(pk=accepted.reply.id).update(decision=decision, status="complete")
    Generation.objects.filter(reply_id=accepted.reply.id).update(trace={"reason": reason})
    ask(accepted, alice)
    assert (row(accepted).handoff_reason, ConversationEvent.objects.get().reason) == (kept, kept)


def test_asking_twice_changes_nothing(alice: Customer) -> None:
    accepted = post(alice)
    ask(accepted, alice)
    ask(accepted, alice)
    assert (notices(accepted), kinds(accepted)) == (["person_asked"], ["asked"])


def test_customer_may_stay_with_the_bot(alice: Customer) -> None:
    accepted = post(alice)
    ask(accepted, alice)
    intake.cancel_request(accepted.conversation.id, customer_id=alice.pk)
    assert (row(accepted).status, kinds(accepted)) == ("open", ["asked", "cancelled"])


def test_request_that_nobody_takes_returns_to_the_bot_and_says_so(alice: Customer) -> None:
    accepted = post(alice)
    ask(accepted, alice)
    assert expiring.expire_requests() == 0
    Conversation.objects.update(promised_until=NEVER)
    assert (expiring.expire_requests(), expiring.expire_requests()) == (1, 0)
    view = transcripts.conversation_view(row(accepted))
    assert (view.status, view.contact, notices(accepted)) == ("open", "offered", ["person_asked", "handoff_expired"])
    assert ConversationEvent.objects.get(kind="expired").waited_ms is not None


def test_address_is_kept_and_shown_to_staff(alice: Customer, dana: User) -> None:
    accepted = post(alice)
    where = {"customer_id": alice.pk, "email": "alice@example.org"}
    with pytest.raises(Conflict):
        intake.leave_contact(accepted.conversation.id, **where)
    Conversation.objects.update(contact="offered")
    with pytest.raises(InvalidInput) as refused:
        intake.leave_contact(accepted.conversation.id, customer_id=alice.pk, email="alice at example")
    assert (refused.value.code, refused.value.field) == ("email_invalid", "email")
    intake.leave_contact(accepted.conversation.id, **{**where, "email": "old@example.org"})
    intake.leave_contact(accepted.conversation.id, **where, message="After six, please.")
    request = ContactRequest.objects.get()
    assert (request.done_at, request.email, row(accepted).contact) == (None, "alice@example.org", "left")
    contacts.finish(request.pk, by_id=dana.pk)
    assert (contacts.requests_of(row(accepted))[0].done_by, row(accepted).contact) == (dana, "")


def test_stranger_leaves_no_address(alice: Customer, mallory: uuid.UUID) -> None:
    accepted = post(alice)
    Conversation.objects.update(contact="offered")
    for deed in (
        lambda: intake.leave_contact(accepted.conversation.id, customer_id=mallory, email="m@example.org"),
        lambda: intake.cancel_request(accepted.conversation.id, customer_id=mallory),
    ):
        with pytest.raises(ChatbotError) as refused:
            deed()
        assert refused.value.code == "conversation_not_found"


def test_outside_hours_the_customer_is_told_when_somebody_comes(alice: Customer) -> None:
    close_team(opens_in_a_week=True)
    accepted = post(alice)
    ask(accepted, alice)
    found = row(accepted)
    assert found.opens_at is not None and found.promised_until is not None
    assert (found.status, found.contact, notices(accepted)) == ("waiting", "offered", ["outside_hours"])
    assert found.promised_until - found.opens_at == timedelta(seconds=300)
    assert "09:00 (UTC)" in found.messages.get(role="system").text
    assert transcripts.conversation_view(found).place is None
    assert expiring.expire_requests() == 0


def test_team_that_never_opens_has_no_queue(amir: Customer) -> None:
    close_team(opens_in_a_week=False)
    accepted = post(amir, locale="zh-hans")
    ask(accepted, amir)
    assert (row(accepted).status, row(accepted).contact, notices(accepted)) == ("open", "offered", ["nobody_there"])
    assert "电子邮箱" in row(accepted).messages.get(role="system").text


def test_place_in_the_line_follows_priority_and_time(alice: Customer, amir: Customer) -> None:
    first, second = post(alice), post(amir)
    ask(first, alice)
    ask(second, amir)
    assert [transcripts.place_of(row(one)) for one in (first, second)] == [1, 2]
    assert (person_line.tell_places(), person_line.tell_places()) == (2, 0)
    Conversation.objects.filter(pk=second.conversation.id).update(priority=Conversation.Priority.URGENT)
    assert [transcripts.place_of(row(one)) for one in (first, second)] == [2, 1]
    assert [frame.place for frame in frames(second.conversation.id) if frame.type == "person.place"] == [2]


def held(customer: Customer, agent: User) -> MessageAccepted:
    accepted = post(customer)
    takeover.take(accepted.conversation.id, agent_id=agent.pk)
    Conversation.objects.update(held_since=NEVER, last_customer_at=NEVER)
    return accepted


def test_agent_whose_desk_is_gone_loses_the_conversation(alice: Customer, dana: User) -> None:
    accepted = held(alice, dana)
    Conversation.objects.update(last_agent_at=None)
    AgentPresence.objects.update(seen_at=NEVER)
    assert (expiring.return_forsaken(), expiring.return_forsaken()) == (1, 0)
    assert (row(accepted).status, notices(accepted)[-1], kinds(accepted)[-1]) == ("waiting", "agent_gone", "returned")


def test_customer_who_waits_for_nothing_goes_back_to_the_bot(alice: Customer, dana: User) -> None:
    accepted = held(alice, dana)
    Conversation.objects.update(last_agent_at=timezone.now())
    AgentPresence.objects.update(seen_at=NEVER)
    assert expiring.return_forsaken() == 1
    assert (row(accepted).status, notices(accepted)[-1]) == ("open", "handed_back")


def test_silent_agent_loses_the_conversation_until_he_answers(alice: Customer, dana: User) -> None:
    accepted = held(alice, dana)
    agent_messages.post_agent_message(
        "One moment.", conversation_id=accepted.conversation.id, agent_id=dana.pk, client_message_id=uuid.uuid4()
    )
    presence.seen(dana.pk)
    assert expiring.return_forsaken() == 0
    Conversation.objects.update(last_agent_at=NEVER - timedelta(days=1))
    assert expiring.return_forsaken() == 1
    assert (row(accepted).status, ConversationEvent.objects.get(kind="returned").reason) == ("waiting", "silent")


def test_anger_can_be_a_reason(alice: Customer) -> None:
    accepted = post(alice)
    handoff.ask_for_person(row(accepted), reason=handoff.Reason.ANGER)
    assert (row(accepted).status, row(accepted).handoff_reason) == ("waiting", "anger")


def test_desk_hears_of_every_change(alice: Customer, dana: User, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        accepted = post(alice)
    for deed in (partial(ask, accepted, alice), partial(takeover.take, accepted.conversation.id, agent_id=dana.pk)):
        with django_capture_on_commit_callbacks(execute=True):
            deed()
    heard = [ConversationTouched.model_validate_json(f[b"frame"]) for _, f in runtime.valkey().xrange("desk")]
    assert [one.what for one in heard if one.what != "reply"] == ["message", "status", "owner"]
    versions = [one.version for one in heard]
    assert versions == sorted(set(versions)) and versions[-1] == row(accepted).version
