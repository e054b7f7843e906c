from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from chatbot import runtime
from chatbot.answering.answers import Answer, Progress
from chatbot.answering.answers import Citation as Cited
from chatbot.conversations import leases, reply, sweeping
from chatbot.conversations.models import Citation, Customer, Generation
from chatbot.protocol import SERVER_FRAMES, MessageChanged, ReplyProgress
from tests.conversations.factories import generation_of, message, post


def answer(text: str = "Two days.", **changes: Any) -> Answer:
    return Answer(
        **{"text": text, "decision": "compose", "finish_reason": "stop", "language": "en", "trace": {"reason": "test"}, **changes}
    )


def frames(conversation_id: object) -> list[Any]:
    entries = runtime.valkey().xrange(f"conversation:{conversation_id}")
    return [SERVER_FRAMES.validate_json(fields[b"frame"]) for _, fields in entries]


def test_reply_streams_then_closes(alice: Customer, say: Any, django_capture_on_commit_callbacks: Any) -> None:
    accepted = post(alice)
    say(Progress("Two"), answer(prompt_tokens=10, completion_tokens=3, model_version="m", ttft_ms=5.0))
    with django_capture_on_commit_callbacks(execute=True):
        reply.write_reply(generation_of(accepted).pk)
    done = generation_of(accepted)
    assert (done.status, done.attempts, done.prompt_tokens, done.model_version, done.announced) == ("done", 1, 10, "m", True)
    assert (message(accepted).status, message(accepted).text) == ("complete", "Two days.")
    kinds = [type(frame) for frame in frames(accepted.conversation.id)]
    assert kinds == [ReplyProgress, ReplyProgress, MessageChanged]


def test_citations_are_kept_with_revision(alice: Customer, say: Any) -> None:
    accepted = post(alice)
    say(answer("Two days. [1]", citations=(Cited(number=1, key="delivery", title="Delivery?", faq_id=None, revision=4),)))
    reply.write_reply(generation_of(accepted).pk)
    assert (Citation.objects.get().key, Citation.objects.get().revision) == ("delivery", 4)


def test_second_worker_leaves_claimed_work_alone(alice: Customer, say: Any) -> None:
    accepted = post(alice)
    assert leases.claim(generation_of(accepted).pk) is not None
    say(answer("from the second worker"))
    reply.write_reply(generation_of(accepted).pk)
    assert message(accepted).text == ""


def test_worker_that_slept_past_its_lease_cannot_write(alice: Customer, say: Any) -> None:
    accepted = post(alice)
    generation_id = generation_of(accepted).pk

    def sleep_past_the_lease() -> Progress:
        Generation.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        successor = leases.claim(generation_id)
        assert successor is not None and successor.fence == 2
        return Progress("late")

    say(sleep_past_the_lease, answer("too late"))
    reply.write_reply(generation_id)
    assert message(accepted).text == "" and generation_of(accepted).status == "running"


def test_lost_lease_ends_the_writing(alice: Customer) -> None:
    held = leases.claim(generation_of(post(alice)).pk)
    assert held is not None
    Generation.objects.update(fence=9)
    leases.renew()
    assert held.lost and held.ended.is_set()
    leases.let_go(held)


def test_stop_is_heard_and_keeps_what_was_said(alice: Customer, say: Any) -> None:
    accepted = post(alice)
    say(answer("Two", finish_reason="cancelled"))
    reply.write_reply(generation_of(accepted).pk)
    assert (message(accepted).status, message(accepted).text) == ("stopped", "Two")


def test_stop_request_ends_the_claim(alice: Customer) -> None:
    accepted = post(alice)
    held = leases.claim(generation_of(accepted).pk)
    assert held is not None
    Generation.objects.update(stop_requested_at=timezone.now())
    leases.end_stopped()
    assert held.ended.is_set() and not held.lost
    leases.let_go(held)


def test_failure_is_tried_again_and_then_said(alice: Customer, say: Any, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    accepted = post(alice)

    def fail() -> None:
        raise RuntimeError("the customer's words must not matter")

    say(fail)
    for attempt in range(1, settings.REPLY_MAX_ATTEMPTS + 1):
        reply.write_reply(generation_of(accepted).pk)
        assert generation_of(accepted).attempts == attempt
    assert (message(accepted).status, message(accepted).error) == ("failed", "internal")
    assert "RuntimeError at test_reply.py" in caplog.text and "customer's words" not in caplog.text
    reply.write_reply(generation_of(accepted).pk)
    assert generation_of(accepted).attempts == settings.REPLY_MAX_ATTEMPTS


def test_conversation_deleted_while_answering(alice: Customer, say: Any) -> None:
    accepted = post(alice)

    def delete() -> Progress:
        alice.delete()
        return Progress("gone")

    say(delete, answer())
    assert reply.write_reply(generation_of(accepted).pk) is None


def test_replies_of_one_conversation_come_in_order(alice: Customer, say: Any) -> None:
    first = post(alice)
    second = post(alice, "And how much?", conversation_id=first.conversation.id)
    say(answer())
    assert reply.write_reply(generation_of(second).pk) is None and message(second).status == "pending"
    following = reply.write_reply(generation_of(first).pk)
    assert following == generation_of(second).pk


def test_worker_told_to_stop_gives_its_work_back(alice: Customer, say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = post(alice)
    say(answer("", finish_reason="cancelled"))
    runtime.stopping.set()
    try:
        reply.write_reply(generation_of(accepted).pk)
    finally:
        runtime.stopping.clear()
    assert (generation_of(accepted).status, message(accepted).status) == ("pending", "pending")


def test_asked_for_a_person_is_put_into_the_queue(alice: Customer, say: Any) -> None:
    accepted = post(alice)
    say(answer("I will ask a person.", decision="handoff", trace={"reason": "asked"}))
    reply.write_reply(generation_of(accepted).pk)
    generation_of(accepted).conversation.refresh_from_db()
    assert generation_of(accepted).conversation.status == "waiting"


def test_sweeper_enqueues_the_forgotten_and_the_orphaned(alice: Customer, amir: Customer) -> None:
    forgotten, orphaned = post(alice), post(amir)
    leases.let_go(leases.claim(generation_of(orphaned).pk))  # type: ignore[arg-type]
    Generation.objects.filter(pk=generation_of(orphaned).pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    sweeping.sweep()
    sweeping.sweep()
    assert runtime.valkey().llen("generation") == 2
    assert generation_of(forgotten).enqueued_at is not None


def test_sweeper_ends_what_has_used_up_its_attempts(alice: Customer, settings: Any) -> None:
    accepted = post(alice)
    Generation.objects.update(
        status="running", attempts=settings.REPLY_MAX_ATTEMPTS, lease_until=timezone.now() - timedelta(seconds=1), fence=3
    )
    sweeping.sweep()
    assert (message(accepted).status, message(accepted).error) == ("failed", "worker_lost")


def test_sweeper_announces_what_nobody_heard(alice: Customer, say: Any) -> None:
    accepted = post(alice)
    say(answer())
    reply.write_reply(generation_of(accepted).pk)  # on_commit does not run inside this test's transaction
    Generation.objects.update(finished_at=timezone.now() - timedelta(seconds=3))
    runtime.valkey().delete(f"conversation:{accepted.conversation.id}")
    sweeping.sweep()
    assert [type(frame) for frame in frames(accepted.conversation.id)] == [MessageChanged]
    assert generation_of(accepted).announced
