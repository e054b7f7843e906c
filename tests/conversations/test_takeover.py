from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from chatbot.answering.answers import Answer, Progress
from chatbot.conversations import agent_messages, intake, leases, reply, sweeping, takeover, transcripts
from chatbot.conversations.models import Conversation, Customer, Generation, Message
from chatbot.conversations.staff_models import ConversationEvent, Note
from chatbot.errors import Conflict, NotFound
from chatbot.protocol import MessageAccepted
from support_portal.accounts.models import User
from tests.conversations.factories import generation_of, message, post
from tests.conversations.test_reply import answer, frames

Status = Conversation.Status


def row(accepted: MessageAccepted) -> Conversation:
    return Conversation.objects.get(pk=accepted.conversation.id)


def write(accepted: MessageAccepted) -> None:
    reply.write_reply(generation_of(accepted).pk)


def notices(accepted: MessageAccepted) -> list[str]:
    return list(row(accepted).messages.filter(role="system").values_list("notice", flat=True))


def kinds(accepted: MessageAccepted) -> list[str]:
    return list(ConversationEvent.objects.filter(conversation=row(accepted)).values_list("kind", flat=True))


def test_taking_over_tells_the_customer_who_is_there(
    alice: Customer, dana: User, django_capture_on_commit_callbacks: Any
) -> None:
    accepted = post(alice)
    with django_capture_on_commit_callbacks(execute=True):
        change = takeover.take(accepted.conversation.id, agent_id=dana.pk)
    view = transcripts.conversation_view(row(accepted))
    assert (view.status, view.agent and view.agent.name, notices(accepted)) == ("held", "Dana", ["person_joined"])
    assert (change.before.status, change.after.assigned_to_id, kinds(accepted)) == ("open", dana.pk, ["claimed"])
    sent = {frame.type for frame in frames(accepted.conversation.id)}
    assert sent == {"message.changed", "conversation.changed"}


def test_reply_that_nobody_has_begun_is_ended(alice: Customer, dana: User, say: Callable[..., None]) -> None:
    accepted = post(alice)
    takeover.take(accepted.conversation.id, agent_id=dana.pk)
    say(answer("too late"))
    write(accepted)
    assert (message(accepted).status, message(accepted).text, message(accepted).error) == ("stopped", "", "taken_over")


def test_bot_is_cut_where_it_was(
    alice: Customer,
    dana: User,
    say: Callable[..., None],
    django_capture_on_commit_callbacks: Any,
) -> None:
    """What was shown before somebody came stays; nothing follows it on the stream, and nothing more is stored."""
    accepted = post(alice)

    def take() -> Progress:
        with django_capture_on_commit_callbacks(execute=True):
            takeover.take(accepted.conversation.id, agent_id=dana.pk)
        return Progress("Two days. Except on Sundays.")

    say(Progress("Two days."), take, answer("Two days. Except on Sundays."))
    write(accepted)
    stored = message(accepted)
    assert (stored.status, stored.text, stored.error) == ("stopped", "Two days.", "taken_over")
    said = [frame.html for frame in frames(accepted.conversation.id) if frame.type == "reply.progress"]
    assert said == ["", "<p>Two days.</p>"]


def test_what_was_shown_stays_though_its_worker_fails(
    alice: Customer, dana: User, say: Callable[..., None], django_capture_on_commit_callbacks: Any
) -> None:
    accepted = post(alice)

    def take_and_fail() -> Progress:
        with django_capture_on_commit_callbacks(execute=True):
            takeover.take(accepted.conversation.id, agent_id=dana.pk)
        raise RuntimeError("the engine died")

    say(Progress("Two days."), take_and_fail)
    write(accepted)
    stored = message(accepted)
    assert (stored.status, stored.text, stored.error) == ("stopped", "Two days.", "taken_over")


def test_whole_answer_is_not_stored_when_a_person_came_before_it_closed(
    alice: Customer,
    dana: User,
    say: Callable[..., None],
) -> None:
    """Checked when sending: the worker has finished and heard nothing of the takeover."""
    accepted = post(alice)

    def take() -> Answer:
        takeover.take(accepted.conversation.id, agent_id=dana.pk)
        return answer("Two days.", trace={"reason": "asked"})

    say(take)
    write(accepted)
    assert (message(accepted).text, row(accepted).status) == ("", "held")


def test_bot_is_silent_while_a_person_is_there(alice: Customer, dana: User) -> None:
    accepted = post(alice)
    takeover.take(accepted.conversation.id, agent_id=dana.pk)
    second = post(alice, "Are you there?", conversation_id=accepted.conversation.id)
    assert second.reply is None
    assert not Generation.objects.filter(status__in=["pending", "running"]).exists()
    assert accepted.reply is not None
    with pytest.raises(Conflict) as refused:
        intake.retry_reply(accepted.reply.id, customer_id=alice.pk)
    assert refused.value.code == "person_answers"


def test_resend_while_held_returns_first_message(alice: Customer, dana: User) -> None:
    accepted = post(alice)
    takeover.take(accepted.conversation.id, agent_id=dana.pk)
    same = {"client_message_id": uuid.uuid4(), "conversation_id": accepted.conversation.id}
    first, again = post(alice, "Hello?", **same), post(alice, "Hello?", **same)
    assert (again.message.id, again.reply) == (first.message.id, None)


def test_worker_that_dies_after_a_takeover_leaves_nothing_open(alice: Customer, dana: User) -> None:
    accepted = post(alice)
    assert leases.claim(generation_of(accepted).pk) is not None
    takeover.take(accepted.conversation.id, agent_id=dana.pk)
    Generation.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sweeping.sweep()
    assert (generation_of(accepted).status, message(accepted).error) == ("stopped", "taken_over")


def test_handing_back_lets_the_bot_answer_what_is_unanswered(alice: Customer, dana: User) -> None:
    accepted = post(alice)
    takeover.take(accepted.conversation.id, agent_id=dana.pk)
    second = post(alice, "And to Norway?", conversation_id=accepted.conversation.id)
    takeover.hand_back(accepted.conversation.id, agent_id=dana.pk, note="Only asks about delivery.")
    pending = Generation.objects.get(status="pending")
    assert pending.reply.in_reply_to_id == second.message.id
    assert (row(accepted).status, Note.objects.get().text) == ("open", "Only asks about delivery.")
    assert notices(accepted) == ["person_joined", "handed_back"]


def test_handing_back_at_once_writes_the_cut_answer_again(
    alice: Customer,
    dana: User,
    say: Callable[..., None],
) -> None:
    """The first worker is still at it: it loses its claim, and another writes the answer."""
    accepted = post(alice)

    def take_and_hand_back() -> Answer:
        takeover.take(accepted.conversation.id, agent_id=dana.pk)
        takeover.hand_back(accepted.conversation.id, agent_id=dana.pk)
        return answer("from the first worker")

    say(take_and_hand_back)
    write(accepted)
    assert (message(accepted).status, generation_of(accepted).status) == ("pending", "pending")
    say(answer("from the second worker"))
    write(accepted)
    assert (message(accepted).status, message(accepted).text) == ("complete", "from the second worker")


def test_bot_knows_afterwards_what_the_person_said(alice: Customer, dana: User) -> None:
    accepted = post(alice)
    where = {"conversation_id": accepted.conversation.id, "agent_id": dana.pk}
    takeover.take(accepted.conversation.id, agent_id=dana.pk)
    agent_messages.post_agent_message("We ship to Norway.", client_message_id=uuid.uuid4(), **where)
    takeover.hand_back(accepted.conversation.id, agent_id=dana.pk)
    third = post(alice, "How long?", conversation_id=accepted.conversation.id)
    turns = transcripts.turns_before(Message.objects.get(pk=third.message.id))
    assert ("assistant", "We ship to Norway.") in [(turn.role, turn.text) for turn in turns]


def test_somebody_elses_conversation_is_refused(alice: Customer, dana: User, omar: User) -> None:
    accepted = post(alice)
    conversation_id = accepted.conversation.id
    takeover.take(conversation_id, agent_id=dana.pk)
    with pytest.raises(Conflict) as taken:
        takeover.take(conversation_id, agent_id=omar.pk)
    assert (taken.value.code, taken.value.message) == ("already_taken", "Dana has this conversation now.")
    for deed in (
        lambda: takeover.release(conversation_id, agent_id=omar.pk),
        lambda: takeover.hand_back(conversation_id, agent_id=omar.pk),
        lambda: takeover.resolve(conversation_id, by_id=omar.pk),
        lambda: agent_messages.post_agent_message(
            "Hi", conversation_id=conversation_id, agent_id=omar.pk, client_message_id=uuid.uuid4()
        ),
    ):
        with pytest.raises(Conflict) as refused:
            deed()
        assert refused.value.code == "not_yours"
    with pytest.raises(Conflict):
        takeover.assign(conversation_id, by_id=omar.pk, to_id=omar.pk)
    takeover.take(conversation_id, agent_id=omar.pk, instead_of=dana.pk)
    assert row(accepted).assigned_to_id == omar.pk


def test_resolved_conversation_is_opened_by_the_customer_or_an_agent(alice: Customer, dana: User) -> None:
    accepted = post(alice)
    takeover.resolve(accepted.conversation.id, by_id=dana.pk)
    assert (row(accepted).status, row(accepted).resolved_by_id) == ("resolved", dana.pk)
    post(alice, "One more thing", conversation_id=accepted.conversation.id)
    assert (row(accepted).status, row(accepted).reopen_count, row(accepted).resolved_at) == ("open", 1, None)
    takeover.resolve(accepted.conversation.id, by_id=dana.pk)
    takeover.reopen(accepted.conversation.id, by_id=dana.pk)
    assert (row(accepted).status, row(accepted).reopen_count) == ("held", 2)
    assert kinds(accepted) == ["resolved", "reopened", "resolved", "claimed", "reopened"]


def test_giving_it_to_a_colleague_or_the_queue(alice: Customer, dana: User, omar: User) -> None:
    accepted = post(alice)
    takeover.assign(accepted.conversation.id, by_id=dana.pk, to_id=omar.pk)
    assert row(accepted).assigned_to_id == omar.pk
    takeover.assign(accepted.conversation.id, by_id=omar.pk)
    found = row(accepted)
    assert (found.status, found.assigned_to, found.handoff_reason, found.team and found.team.is_default) == (
        "waiting",
        None,
        "transferred",
        True,
    )
    assert notices(accepted) == ["person_assigned", "transferred"]


def test_closed_account_takes_nothing_and_loses_what_it_had(alice: Customer, dana: User) -> None:
    accepted = post(alice)
    takeover.take(accepted.conversation.id, agent_id=dana.pk)
    assert takeover.release_all_of(dana.pk, reason="account_closed") == 1
    User.objects.filter(pk=dana.pk).update(is_active=False)
    assert (row(accepted).status, row(accepted).assigned_to) == ("waiting", None)
    assert ConversationEvent.objects.filter(kind="returned").get().reason == "account_closed"
    with pytest.raises(NotFound):
        takeover.take(accepted.conversation.id, agent_id=dana.pk)


def test_database_itself_refuses_two_owners_or_none(alice: Customer, dana: User) -> None:
    conversation_id = post(alice).conversation.id
    for fields in ({"assigned_to": dana}, {"status": "held"}, {"status": "waiting"}, {"status": "resolved"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Conversation.objects.filter(pk=conversation_id).update(**fields)


@pytest.mark.django_db(transaction=True)
def test_two_agents_claim_at_once(alice: Customer, dana: User, omar: User) -> None:
    for _ in range(5):
        accepted = post(alice)
        claims = [partial(takeover.take, accepted.conversation.id, agent_id=agent.pk) for agent in (dana, omar)]
        outcomes = at_once(*claims)
        assert sorted(outcomes) == ["already_taken", "done"]
        assert notices(accepted) == ["person_joined"]


def at_once(*deeds: Callable[[], object]) -> list[str]:
    """Run deeds in threads of their own that start together; the code of each one's end."""
    outcomes: list[str] = []
    together = threading.Barrier(len(deeds))

    def run(deed: Callable[[], object]) -> None:
        together.wait()
        try:
            deed()
            outcomes.append("done")
        except Conflict as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_comes_in_the_moment_of_taking_over_does_not_begin_what_was_ended(alice: Customer, dana: User) -> None:
    accepted = post(alice)
    generation_id = generation_of(accepted).pk
    claims: list[object] = []

    def claim() -> None:
        try:
            claims.append(leases.claim(generation_id))
        finally:
            connection.close()

    worker = threading.Thread(target=claim)
    with transaction.atomic():
        takeover.take(accepted.conversation.id, agent_id=dana.pk)
        worker.start()
        _until_somebody_waits()
    worker.join()
    assert claims == [None] and generation_of(accepted).status == "stopped"


def _until_somebody_waits() -> None:
    """For a row that this transaction has changed."""
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
            if cursor.fetchone()[0]:
                return
        threading.Event().wait(0.01)
    raise AssertionError("nobody waits")
