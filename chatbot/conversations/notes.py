"""What colleagues tell each other about a conversation. Its customer never sees it: notes are no messages."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from uuid import UUID, uuid4

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from chatbot.conversations import custody, publishing, texts
from chatbot.conversations.custody import Deed
from chatbot.conversations.staff_frames import NoteAdded, NoteView, Person
from chatbot.conversations.staff_models import Mention, Note
from chatbot.conversations.transcripts import name_of
from chatbot.errors import Conflict, InvalidInput
from chatbot.rendering import render_markdown

MAX_NOTE_CHARS = 10_000
MAX_MENTIONS = 20
_MENTION = re.compile(r"(?<![\w@.])@([\w.+-]{1,150})")


def post_note(text: str, *, conversation_id: UUID, author_id: int, client_note_id: UUID) -> NoteView:
    """Write a note. Returns the first result when sent again.

    Raises InvalidInput (note_empty, note_too_long); Conflict (note_id_reused) when the id was used for another text.
    """
    cleaned = clean(text)
    with transaction.atomic():
        author = custody.agent_of(author_id)
        deed = Deed(custody.lock(conversation_id), by=author)
        before = _with_parts(Note.objects.filter(conversation_id=conversation_id, client_note_id=client_note_id)).first()
        if before is not None:
            if before.author_id != author_id or before.text != cleaned:
                raise Conflict("This note was already sent with other words.", code="note_id_reused")
            return note_view(before)
        note, called = _write(deed, cleaned, client_note_id=client_note_id)
        deed.store("note")
    return _view(note, author=author, called=called)


def add_note(deed: Deed, text: str) -> None:
    """Write a note as a part of something else that its author does; the caller stores the deed."""
    _write(deed, clean(text), client_note_id=uuid4())


def clean(text: str) -> str:
    kept = texts.composed(text)
    if not texts.has_words(kept):
        raise InvalidInput("Write something first.", code="note_empty", field="text")
    if len(kept) > MAX_NOTE_CHARS:
        raise InvalidInput(
            f"A note can have at most {MAX_NOTE_CHARS:,} characters; this one has {len(kept):,}.",
            code="note_too_long",
            field="text",
        )
    return kept


def notes_of(conversation_id: UUID) -> list[NoteView]:
    """All notes of a conversation, oldest first."""
    return [note_view(note) for note in _with_parts(Note.objects.filter(conversation_id=conversation_id)).order_by("pk")]


def see_mentions(agent_id: int, *, conversation_id: UUID) -> None:
    unseen = Mention.objects.filter(agent_id=agent_id, note__conversation_id=conversation_id, seen_at__isnull=True)
    unseen.update(seen_at=timezone.now())


def note_view(note: Note) -> NoteView:
    """Expects author and mentions' agents loaded (see _with_parts)."""
    return _view(note, author=note.author, called=[mention.agent for mention in note.mentions.all()])


def _write(deed: Deed, text: str, *, client_note_id: UUID) -> tuple[Note, list[AbstractBaseUser]]:
    author = deed.by
    assert author is not None
    note = Note.objects.create(
        conversation=deed.conversation,
        seq_after=deed.conversation.last_seq,
        author_id=author.pk,
        author_name=name_of(author),
        text=text,
        client_note_id=client_note_id,
    )
    names = list(dict.fromkeys(name.rstrip(".-") for name in _MENTION.findall(text)))[:MAX_MENTIONS]
    called: list[AbstractBaseUser] = list(get_user_model().objects.filter(username__in=names, is_active=True)) if names else []
    Mention.objects.bulk_create(Mention(note=note, agent_id=agent.pk) for agent in called)
    added = NoteAdded(note=_view(note, author=author, called=called))
    entry: publishing.Entry = (publishing.staff_key(deed.conversation.pk), added)
    transaction.on_commit(functools.partial(publishing.append, [entry]))
    return note, called


def _with_parts(notes: QuerySet[Note]) -> QuerySet[Note]:
    return notes.select_related("author").prefetch_related("mentions__agent")


def _view(note: Note, *, author: AbstractBaseUser | None, called: Sequence[AbstractBaseUser]) -> NoteView:
    return NoteView(
        id=note.pk,
        conversation_id=note.conversation_id,
        seq_after=note.seq_after,
        author=Person(id=author.pk, name=name_of(author)) if author else None,
        author_name=note.author_name,
        text=note.text,
        html=render_markdown(note.text),
        mentions=[Person(id=agent.pk, name=name_of(agent)) for agent in called],
        client_note_id=note.client_note_id,
        created_at=note.created_at.isoformat(),
    )
