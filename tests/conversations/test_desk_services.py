"""What agents say, note, mark and read."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from chatbot import runtime
from chatbot.conversations import agent_messages, inbox, labels, notes, presence, reading, takeover, transcripts
from chatbot.conversations.access import access_conversation
from chatbot.conversations.models import Conversation, Customer
from chatbot.conversations.staff_frames import NoteAdded
from chatbot.conversations.staff_models import Note, ReadMark, Tag
from chatbot.errors import ChatbotError, Conflict, InvalidInput
from support_portal.accounts.models import User
from tests.conversations.factories import post
from tests.conversations.test_reply import frames


def code_of(deed: Any) -> str:
    with pytest.raises(ChatbotError) as refused:
        deed()
    return refused.value.code


@pytest.fixture
def talk(alice: Customer, dana: User) -> uuid.UUID:
    """A conversation that Dana has."""
    conversation_id = post(alice).conversation.id
    takeover.take(conversation_id, agent_id=dana.pk)
    return conversation_id


def test_agents_message_is_markdown_with_a_name(
    talk: uuid.UUID, alice: Customer, dana: User, django_capture_on_commit_callbacks: Any
) -> None:
    same = {"conversation_id": talk, "agent_id": dana.pk, "client_message_id": uuid.uuid4()}
    with django_capture_on_commit_callbacks(execute=True):
        first = agent_messages.post_agent_message("It is **free**.<script>", **same)
    again = agent_messages.post_agent_message("It is **free**.<script>", **same)
    assert (first.id, first.author, first.role, first.html) == (
        again.id,
        "Dana",
        "agent",
        "<p>It is <strong>free</strong>.&lt;script&gt;</p>",
    )
    assert code_of(lambda: agent_messages.post_agent_message("Other words", **same)) == "message_id_reused"
    found = Conversation.objects.get(pk=talk)
    assert (found.last_role, found.last_message_preview, found.first_agent_response_at) == (
        "agent",
        "It is free.<script>",
        found.last_agent_at,
    )
    assert [frame.message.author for frame in frames(talk)] == ["Dana"]


@pytest.mark.parametrize(("text", "code"), [("  \u200b ", "message_empty"), ("x" * 4001, "message_too_long")])
def test_agents_message_has_the_customers_limits(talk: uuid.UUID, dana: User, text: str, code: str) -> None:
    send = lambda: agent_messages.post_agent_message(  # noqa: E731
        text, conversation_id=talk, agent_id=dana.pk, client_message_id=uuid.uuid4()
    )
    assert code_of(send) == code


def test_note_calls_colleagues_and_stays_inside(
    talk: uuid.UUID, alice: Customer, dana: User, omar: User, django_capture_on_commit_callbacks: Any
) -> None:
    same = {"conversation_id": talk, "author_id": dana.pk, "client_note_id": uuid.uuid4()}
    with django_capture_on_commit_callbacks(execute=True):
        note = notes.post_note("@omar, can you? Not mail@erin or @nobody.", **same)
    assert notes.post_note("@omar, can you? Not mail@erin or @nobody.", **same).id == note.id
    assert code_of(lambda: notes.post_note("Other words", **same)) == "note_id_reused"
    assert ([one.name for one in note.mentions], notes.notes_of(talk)) == (["Omar"], [note])
    assert inbox.counts(omar.pk).mentions == 1
    notes.see_mentions(omar.pk, conversation_id=talk)
    assert inbox.counts(omar.pk).mentions == 0
    shown, _ = transcripts.page_before(access_conversation(talk, customer_id=alice.pk))
    assert "can you" not in "".join(message.text for message in shown)
    assert frames(talk) == []
    (entry,) = runtime.valkey().xrange(f"staff:{talk}")
    assert NoteAdded.model_validate_json(entry[1][b"frame"]).note == note


def test_note_has_a_limit_and_says_which(talk: uuid.UUID, dana: User) -> None:
    with pytest.raises(InvalidInput) as refused:
        notes.post_note("x" * 100_000, conversation_id=talk, author_id=dana.pk, client_note_id=uuid.uuid4())
    assert refused.value.message == "A note can have at most 10,000 characters; this one has 100,000."
    with pytest.raises(InvalidInput):
        takeover.hand_back(talk, agent_id=dana.pk, note="x" * 100_000)
    assert (Note.objects.count(), Conversation.objects.get(pk=talk).status) == (0, "held")


def test_marks_are_set_once_and_can_be_undone(talk: uuid.UUID, dana: User) -> None:
    labels.add_tag(talk, by_id=dana.pk, tag="  big   order ")
    change = labels.add_tag(talk, by_id=dana.pk, tag="big order")
    assert (change.before.tags, change.after.tags, labels.known_tags("BIG")) == (("big order",), ("big order",), ["big order"])
    labels.remove_tag(talk, by_id=dana.pk, tag="big order")
    change = labels.set_priority(talk, by_id=dana.pk, priority=2)
    found = Conversation.objects.get(pk=talk)
    assert (found.tags, found.priority, change.before.priority, Tag.objects.count()) == ([], 2, 0, 1)
    for bad in ("", "x" * 41):
        assert code_of(lambda bad=bad: labels.add_tag(talk, by_id=dana.pk, tag=bad)) == "tag_invalid"
    for number in range(labels.MAX_TAGS):
        labels.add_tag(talk, by_id=dana.pk, tag=f"tag {number}")
    assert code_of(lambda: labels.add_tag(talk, by_id=dana.pk, tag="one more")) == "tags_too_many"
    assert code_of(lambda: labels.set_priority(talk, by_id=dana.pk, priority=7)) == "priority_unknown"


def test_analysis_is_kept_and_told_once(talk: uuid.UUID) -> None:
    before = Conversation.objects.get(pk=talk).version
    for _ in range(2):
        labels.set_analysis(talk, topic="delivery", sentiment="negative", sentiment_score=-0.7)
    found = Conversation.objects.get(pk=talk)
    assert (found.topic, found.sentiment, found.sentiment_score, found.version) == ("delivery", "negative", -0.7, before + 1)


def test_read_mark_never_moves_back(talk: uuid.UUID, dana: User) -> None:
    for seq in (2, 5, 3):
        reading.mark_read(talk, agent_id=dana.pk, seq=seq)
    assert ReadMark.objects.get(agent=dana, conversation=talk).seq == 5


def test_viewers_see_each_other_and_expire(talk: uuid.UUID, dana: User, omar: User, monkeypatch: pytest.MonkeyPatch) -> None:
    presence.open_conversation(talk, agent_id=dana.pk)
    assert [one.name for one in presence.open_conversation(talk, agent_id=omar.pk)] == ["Dana", "Omar"]
    assert [one.name for one in presence.leave_conversation(talk, agent_id=omar.pk)] == ["Dana"]
    later = presence._now_ms() + presence.VIEWING_S * 1000 + 1
    monkeypatch.setattr(presence, "_now_ms", lambda: later)
    assert presence.viewers(talk) == []


def test_only_the_holder_is_seen_typing(talk: uuid.UUID, alice: Customer, dana: User, omar: User) -> None:
    presence.agent_typing(talk, agent_id=omar.pk)
    assert frames(talk) == []
    presence.agent_typing(talk, agent_id=dana.pk)
    assert [(frame.type, frame.name) for frame in frames(talk)] == [("agent.typing", "Dana")]
    presence.customer_typing(talk)  # nobody looks
    presence.open_conversation(talk, agent_id=dana.pk)
    presence.customer_typing(talk)
    kinds = [fields[b"frame"].split(b'"')[3] for _, fields in runtime.valkey().xrange(f"staff:{talk}")]
    assert kinds == [b"colleague.typing", b"presence.changed", b"customer.typing"]


def test_who_lost_the_conversation_says_nothing_more(talk: uuid.UUID, dana: User) -> None:
    takeover.release_all_of(dana.pk)
    with pytest.raises(Conflict) as refused:
        agent_messages.post_agent_message("Hello?", conversation_id=talk, agent_id=dana.pk, client_message_id=uuid.uuid4())
    assert refused.value.code == "not_yours"
    assert not Conversation.objects.get(pk=talk).messages.filter(role="agent").exists()
