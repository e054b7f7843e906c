from __future__ import annotations

import threading
import uuid

import pytest
from django.db import connections

from chatbot import runtime
from chatbot.conversations import intake, texts
from chatbot.conversations.models import Conversation, Customer, Generation, Message
from chatbot.errors import ChatbotError
from tests.conversations.factories import generation_of, message, post


def refused(code: str) -> object:
    return pytest.raises(ChatbotError, check=lambda error: error.code == code)


def test_message_reply_and_work_are_stored_together(alice: Customer) -> None:
    accepted = post(alice)
    assert [m.role for m in Message.objects.order_by("seq")] == ["customer", "assistant"]
    assert (accepted.message.seq, accepted.reply.seq, accepted.conversation.last_seq) == (1, 2, 2)
    assert generation_of(accepted).status == "pending"


def test_work_is_enqueued_after_the_commit(alice: Customer, django_capture_on_commit_callbacks: object) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        accepted = post(alice)
        assert runtime.valkey().llen("generation") == 0
    assert runtime.valkey().llen("generation") == 1
    assert generation_of(accepted).enqueued_at is not None


def test_resend_returns_the_first_result(alice: Customer) -> None:
    client_id = uuid.uuid4()
    first = post(alice, "Hello", client_message_id=client_id)
    again = post(alice, "Hello", client_message_id=client_id)
    assert again.message.id == first.message.id and again.conversation.id == first.conversation.id
    assert Conversation.objects.count() == 1 and Generation.objects.count() == 1


def test_same_id_with_other_words_is_refused(alice: Customer) -> None:
    client_id = uuid.uuid4()
    post(alice, "Hello", client_message_id=client_id)
    with refused("message_id_reused"):
        post(alice, "Something else", client_message_id=client_id)
    assert Message.objects.filter(role="customer").count() == 1


def test_two_customers_may_use_the_same_client_id(alice: Customer, amir: Customer) -> None:
    client_id = uuid.uuid4()
    assert post(alice, client_message_id=client_id).conversation.id != post(amir, client_message_id=client_id).conversation.id


def test_stranger_cannot_write_into_a_conversation(alice: Customer, amir: Customer) -> None:
    accepted = post(alice)
    with refused("conversation_not_found"):
        post(amir, conversation_id=accepted.conversation.id)


@pytest.mark.parametrize("text", ["", "   \n", "\x00\x07", "\u200b\u202e", "\ufeff \u00ad"])
def test_text_without_words_is_refused(alice: Customer, text: str) -> None:
    with refused("message_empty"):
        post(alice, text)


def test_too_long_text_is_refused(alice: Customer) -> None:
    with refused("message_too_long"):
        post(alice, "x" * 4001)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [("a\x00b", "ab"), ("line\r\nline", "line\nline"), ("\u202eevil", "evil"), ("e\u0301", "é"), ("👨‍👩‍👧 ok", "👨‍👩‍👧 ok")],
)
def test_control_characters_are_dropped(typed: str, stored: str) -> None:
    assert texts.clean(typed) == stored


def test_flood_of_one_conversation_is_refused_and_loses_nothing(alice: Customer) -> None:
    accepted = post(alice)
    for _ in range(4):
        post(alice, conversation_id=accepted.conversation.id)
    with refused("conversation_busy"):
        post(alice, conversation_id=accepted.conversation.id)
    assert Message.objects.filter(role="customer").count() == 5


def test_stop_before_any_worker_began(alice: Customer) -> None:
    accepted = post(alice)
    intake.stop_reply(accepted.reply.id, customer_id=alice.pk)
    assert message(accepted).status == "stopped" and generation_of(accepted).status == "stopped"
    intake.stop_reply(accepted.reply.id, customer_id=alice.pk)


def test_retry_makes_a_new_generation_with_a_higher_attempt(alice: Customer) -> None:
    accepted = post(alice)
    intake.stop_reply(accepted.reply.id, customer_id=alice.pk)
    Generation.objects.update(fence=3)
    intake.retry_reply(accepted.reply.id, customer_id=alice.pk)
    intake.retry_reply(accepted.reply.id, customer_id=alice.pk)
    assert Generation.objects.count() == 2
    assert (generation_of(accepted).fence, message(accepted).status) == (4, "pending")


def test_only_the_last_reply_is_written_again(alice: Customer) -> None:
    first = post(alice)
    post(alice, conversation_id=first.conversation.id)
    with refused("not_last_reply"):
        intake.retry_reply(first.reply.id, customer_id=alice.pk)


@pytest.mark.parametrize("act", [intake.stop_reply, intake.retry_reply])
def test_stranger_cannot_touch_a_reply(alice: Customer, mallory: uuid.UUID, act: object) -> None:
    accepted = post(alice)
    with refused("message_not_found"):
        act(accepted.reply.id, customer_id=mallory)  # type: ignore[operator]


def test_asking_for_a_person_twice_says_it_once(alice: Customer) -> None:
    accepted = post(alice)
    for _ in range(2):
        intake.request_person(accepted.conversation.id, customer_id=alice.pk)
    conversation = Conversation.objects.get()
    assert conversation.status == "waiting" and conversation.last_seq == 3
    assert runtime.company().email in Message.objects.get(role="system").text


@pytest.mark.django_db(transaction=True)
def test_simultaneous_sends_leave_no_gap_and_no_double() -> None:
    alice = Customer.objects.create()
    accepted = post(alice)
    ids = [uuid.uuid4() for _ in range(4)]

    def send(client_id: uuid.UUID) -> None:
        try:
            post(alice, "again", client_message_id=client_id, conversation_id=accepted.conversation.id)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send, args=(client_id,)) for client_id in ids * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(Message.objects.values_list("seq", flat=True)) == list(range(1, 11))
