"""Notes of handoffs and closes: there at once, better when the model has time, never with what nobody said."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from chatbot.answering.giving_way import Busy
from chatbot.answering.prompting import Turn
from chatbot.assist import noting, tasks
from chatbot.assist.models import ConversationNote
from chatbot.conversations.models import Conversation, Customer
from chatbot.engine.fake import ScriptedEngine
from tests.assist.talks import say, talk

pytestmark = pytest.mark.django_db
LINES = ["c: Where is my order LW48213?", "b: It is on its way.", "c: It should have been here on Friday, I need it!"]


def _waiting(customer: Customer, *lines: str) -> Conversation:
    now = timezone.now()
    conversation = talk(customer, *lines, status="waiting", waiting_since=now, promised_until=now + timedelta(minutes=5))
    return _paused(conversation)


def _paused(conversation: Conversation) -> Conversation:
    Conversation.objects.filter(pk=conversation.pk).update(last_customer_at=timezone.now() - timedelta(seconds=30))
    return conversation


@pytest.fixture
def engine() -> ScriptedEngine:
    made = ScriptedEngine(gap_s=0.0)
    made.start()
    return made


def _write(note: ConversationNote, engine: ScriptedEngine) -> ConversationNote:
    noting.write_note(note.pk, engine=engine, cancelled=lambda: False)
    note.refresh_from_db()
    return note


def test_a_handoff_has_a_note_at_once_in_the_customers_words(alice: Customer) -> None:
    conversation = _waiting(alice, *LINES)
    assert (noting.take_notes(), noting.take_notes()) == (1, 0)
    note = noting.newest_note(conversation.pk)
    assert note and note.kind == "handoff" and note.to_write and not note.model_version
    assert "Where is my order LW48213?" in note.text and "It should have been here on Friday" in note.text


def test_who_goes_on_writing_is_summed_up_again_and_a_close_too(alice: Customer) -> None:
    conversation = _waiting(alice, "c: Hello?")
    noting.take_notes()
    say(conversation, "c: Anybody there?")
    assert noting.take_notes() == 0  # They may be writing still.
    _paused(conversation)
    assert noting.take_notes() == 1
    now = timezone.now()
    closed = {"status": "resolved", "waiting_since": None, "promised_until": None, "resolved_at": now, "updated_at": now}
    Conversation.objects.filter(pk=conversation.pk).update(**closed)
    assert noting.take_notes() == 1
    assert list(ConversationNote.objects.order_by("pk").values_list("kind", "seq")) == [
        ("handoff", 1),
        ("handoff", 2),
        ("close", 2),
    ]


def test_what_the_bot_answers_and_old_ones_get_no_note(alice: Customer) -> None:
    _paused(talk(alice, "c: Hello"))
    old = _waiting(alice, "c: Long ago")
    Conversation.objects.filter(pk=old.pk).update(updated_at=timezone.now() - timedelta(hours=3))
    assert noting.take_notes() == 0


def test_the_models_lines_are_held_against_what_was_said(alice: Customer, engine: ScriptedEngine) -> None:
    _waiting(alice, *LINES)
    noting.take_notes()
    engine.enqueue(
        [
            "- The customer asks where order LW48213 is.\n- It was promised for Friday.\n- A refund of 90 EUR was offered.\n",
            "- Ask Peter Miller about it.",
        ]
    )
    note = _write(ConversationNote.objects.get(), engine)
    assert note.text == "- The customer asks where order LW48213 is.\n- It was promised for Friday."
    assert (note.model_version, note.to_write) == ("scripted", False)


def test_what_the_customer_named_is_never_lost(alice: Customer, engine: ScriptedEngine) -> None:
    _waiting(
        alice, "c: My order LW48213 cost S$89. Where is it?", "b: Orders take 3 days, LW77777 took 5.", "c: I leave on 14 June!"
    )
    noting.take_notes()
    note = ConversationNote.objects.get()
    assert note.text.startswith("- Named: LW48213, S$89\n")  # The rest stands in the lines, or is the bot's.
    engine.enqueue(["- The customer asks where their order is.\n- It cost S$89.\n"])
    assert _write(note, engine).text.startswith("- Named: LW48213, 14 June\n- The customer")


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("The support answered that the cost is accurate.", True),
        ("Support apologised and promised a refund.", True),
        ("Support also informed the customer that adjustments cost nothing within 30 days of a service.", False),
        ("The agent said that no appointment is needed.", False),
        ("The customer wants to know whether the cost is accurate.", False),
    ],
)
def test_an_answer_that_support_did_not_give_is_not_noted(line: str, wrong: bool) -> None:
    asked = Turn("user", "Your mechanic told me it would cost S$25. Which is true?")
    told = Turn("assistant", "Adjustments within 30 days of a service are free; you can come without an appointment.")
    assert noting.misreports(line, [asked, told]) is wrong
    assert not noting.misreports(line, [asked, Turn("assistant", "保养后三十天内免费调整，无需预约。")])


@pytest.mark.parametrize("written", ["", "I cannot help with that.", "- They paid 90 EUR.\n- They want 80 EUR.", "Summary:\n"])
def test_a_useless_model_leaves_the_customers_words(alice: Customer, engine: ScriptedEngine, written: str) -> None:
    _waiting(alice, *LINES)
    noting.take_notes()
    before = ConversationNote.objects.get().text
    engine.enqueue([written])
    note = _write(ConversationNote.objects.get(), engine)
    assert (note.text, note.to_write, note.model_version) == (before, False, "")


def test_a_long_conversation_is_cut_to_what_the_model_can_read(alice: Customer) -> None:
    small = ScriptedEngine(gap_s=0.0, context_tokens=512)
    small.start()
    _waiting(alice, *[f"c: {'word ' * 90}{number}" for number in range(20)])
    noting.take_notes()
    small.enqueue(["- The word came often.\n- The word came again."])
    assert _write(ConversationNote.objects.get(), small).model_version == "scripted"


def test_a_short_question_needs_no_model(alice: Customer) -> None:
    _waiting(alice, "c: Are you there?")
    noting.take_notes()
    assert not noting.notes_to_write().exists()


def test_the_task_waits_for_customers_and_gives_up_on_what_fails(
    alice: Customer, monkeypatch: pytest.MonkeyPatch, engine: Any
) -> None:
    _waiting(alice, *LINES)
    noting.take_notes()
    monkeypatch.setattr(tasks.runtime, "_engine", engine)
    monkeypatch.setattr(noting.giving_way, "write", _raising(Busy("busy")))
    tasks.write_notes()
    assert noting.notes_to_write().count() == 1
    monkeypatch.setattr(noting.giving_way, "write", _raising(RuntimeError("boom")))
    tasks.write_notes()
    assert noting.notes_to_write().count() == 0


def _raising(error: Exception) -> Any:
    def write(*args: Any, **more: Any) -> None:
        raise error

    return write
