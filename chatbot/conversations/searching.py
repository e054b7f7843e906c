"""Full-text search over all messages and the notes of colleagues, in any language, at any size. For staff alone.

The database keeps the words of each message beside it (migration search_words): lower-cased words, and for Chinese, Japanese,
Korean, Thai and other scripts without spaces every pair of neighbouring characters. A query goes through the same function, so
operators and quotes in it are only separators; its words must all stand in one message, each as a whole or as a beginning.

A page is looked for in two ways, cheapest first. The NEWEST messages are read one by one: words that are common are met there
soon, while the index would first gather all their places. What is not common enough to fill a page there is rare enough for the
index; of several words the one that PostgreSQL's statistics take for the rarest is looked up, the others are then compared. Notes
are few beside messages and always come from their index.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import OperationalError, connection, transaction

from chatbot.conversations.inbox import PAGE_CONVERSATIONS, SHORT_QUEUES, Filters, Page, Position, Row, matching, rows_of
from chatbot.conversations.models import Conversation, Message
from chatbot.conversations.staff_models import Note
from chatbot.conversations.texts import without_markup
from chatbot.errors import Unavailable

MAX_QUERY_CHARS = 200
MAX_WORDS = 12
NEWEST = 20_000
# What has more places is met by reading on; one word with at most so many is looked up alone.
RARE = 20_000
TIMEOUT_MS = 4000
# Little before it: a row is cut at its end.
SNIPPET_BEFORE, SNIPPET_AFTER = 16, 140

# Each conversation stands once, at its newest place: of its messages, and of its notes (_LATER_NOTE, _NOTED).
_LATER_NOTE = """NOT EXISTS (
  SELECT 1 FROM conversations_note AS note WHERE note.conversation_id = {of}.conversation_id AND note.created_at > {of}.created_at
    AND note.words @@ %(all)s::tsquery)"""
_NEWEST = """
SELECT conversation_id, id, created_at FROM (
  SELECT conversation_id, id, seq, created_at, words FROM conversations_message WHERE {before}
  ORDER BY created_at DESC, id DESC LIMIT {newest}
) AS here WHERE words @@ %(all)s::tsquery AND conversation_id IN ({inside}) AND NOT EXISTS (
  SELECT 1 FROM conversations_message AS later WHERE later.conversation_id = here.conversation_id AND later.seq > here.seq
    AND later.words @@ %(all)s::tsquery) AND {unnoted_here}
ORDER BY created_at DESC, id DESC LIMIT %(limit)s"""
_WALK = """
SELECT conversation_id, id, created_at FROM conversations_message AS here
WHERE words @@ %(all)s::tsquery AND {before} AND conversation_id IN ({inside}) AND NOT EXISTS (
  SELECT 1 FROM conversations_message AS later WHERE later.conversation_id = here.conversation_id AND later.seq > here.seq
    AND later.words @@ %(all)s::tsquery) AND {unnoted_here}
ORDER BY created_at DESC, id DESC LIMIT %(limit)s"""
_INDEXED = """
WITH rare AS MATERIALIZED (
    SELECT conversation_id, id, seq, created_at, words FROM conversations_message WHERE words @@ %(rarest)s::tsquery),
  places AS MATERIALIZED (SELECT * FROM rare WHERE words @@ %(all)s::tsquery)"""
# Few conversations: their messages are read, whatever words are sought.
_SHORT = """
WITH listed(id) AS MATERIALIZED ({inside}),
  said AS MATERIALIZED (
    SELECT message.* FROM listed JOIN conversations_message AS message ON message.conversation_id = listed.id),
  places AS MATERIALIZED (SELECT * FROM said WHERE words @@ %(all)s::tsquery)"""
_OF_PLACES = """
SELECT conversation_id, id, created_at FROM (
  SELECT DISTINCT ON (conversation_id) conversation_id, id, created_at FROM places ORDER BY conversation_id, seq DESC
) AS newest WHERE conversation_id IN ({inside}) AND {before} AND {unnoted_newest}
ORDER BY created_at DESC, id DESC LIMIT %(limit)s"""
_NOTED = """
SELECT conversation_id, id, created_at FROM (
  SELECT DISTINCT ON (conversation_id) conversation_id, client_note_id AS id, created_at FROM conversations_note
  WHERE words @@ %(all)s::tsquery ORDER BY conversation_id, created_at DESC, client_note_id DESC
) AS note WHERE conversation_id IN ({inside}) AND {before} AND NOT EXISTS (
  SELECT 1 FROM conversations_message AS later WHERE later.conversation_id = note.conversation_id
    AND later.created_at >= note.created_at AND later.words @@ %(all)s::tsquery)
ORDER BY created_at DESC, id DESC LIMIT %(limit)s"""


@dataclass(frozen=True)
class _Place:
    """id: of the message, or the client's id of the note."""

    conversation_id: UUID
    id: UUID
    created_at: datetime
    is_note: bool


def search(filters: Filters, *, viewer_id: int, before: Position | None = None) -> Page:
    """The conversations with `filters.query` in a message or note, the newest such place first; an id finds its conversation.

    Raises Unavailable when the database needs longer than TIMEOUT_MS.
    """
    query = filters.query.replace("\x00", " ").strip()[:MAX_QUERY_CHARS]
    inside = matching(filters, viewer_id=viewer_id)
    try:
        return Page(rows_of(inside.filter(pk=UUID(query)), viewer_id=viewer_id), next=None)
    except ValueError:
        pass
    words = words_of(query)
    if not words:
        return Page([], next=None)
    places = _find(words, inside.values("pk"), short=filters.queue in SHORT_QUEUES, before=before)
    page, more = places[:PAGE_CONVERSATIONS], len(places) > PAGE_CONVERSATIONS
    end = Position(page[-1].created_at, page[-1].id) if more else None
    return Page(_rows(page, words, viewer_id=viewer_id), next=end)


def words_of(query: str) -> list[str]:
    """The query's words as the messages' words are kept. Any text is a query; what holds no word gives none."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tsvector_to_array(conversations_words(%s))", [query])
        found: list[str] = cursor.fetchone()[0]
    # The last character of a run stands by itself too, for queries of one character; its pair says more.
    pairs = {word[1] for word in found if len(word) == 2 and not word.isascii()}
    return sorted((word for word in found if word not in pairs), key=len, reverse=True)[:MAX_WORDS]


def _find(words: Sequence[str], inside: Any, *, short: bool, before: Position | None) -> list[_Place]:
    statement, parameters = inside.query.sql_with_params()
    names = [f"p{number}" for number in range(len(parameters))]
    values: dict[str, Any] = dict(zip(names, parameters, strict=True))
    values |= {"all": " & ".join(map(_sought, words)), "limit": PAGE_CONVERSATIONS + 1}
    values |= {"moment": before.moment, "id": before.id} if before else {}
    pieces = {
        "inside": statement % tuple(f"%({name})s" for name in names),
        "before": "(created_at, id) < (%(moment)s, %(id)s)" if before else "TRUE",
        "newest": NEWEST,
        "unnoted_here": _LATER_NOTE.format(of="here"),
        "unnoted_newest": _LATER_NOTE.format(of="newest"),
    }
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {TIMEOUT_MS}")
            noted = _places(cursor, _NOTED.format(**pieces), values, are_notes=True)
            said = _said(cursor, words, pieces=pieces, values=values, short=short)
    except OperationalError as error:
        raise Unavailable("This search takes too long. Add a word, or choose a shorter list.", code="search_too_wide") from error
    return sorted([*said, *noted], key=lambda place: (place.created_at, place.id), reverse=True)[: PAGE_CONVERSATIONS + 1]


def _said(cursor: Any, words: Sequence[str], *, pieces: dict[str, Any], values: dict[str, Any], short: bool) -> list[_Place]:
    """The places in messages, found in the way that is cheapest for these words."""
    if short:
        return _places(cursor, (_SHORT + _OF_PLACES).format(**pieces), values)
    found = _places(cursor, _NEWEST.format(**pieces), values)
    if len(found) > PAGE_CONVERSATIONS:
        return found
    if _estimate(cursor, values["all"]) > RARE:  # common, only not in this list's newest: it is met further on
        return _places(cursor, _WALK.format(**pieces), values)
    return _places(cursor, (_INDEXED + _OF_PLACES).format(**pieces), values | {"rarest": _rarest(cursor, words)})


def _places(cursor: Any, statement: str, values: dict[str, Any], *, are_notes: bool = False) -> list[_Place]:
    cursor.execute(statement, values)
    return [_Place(conversation_id, row_id, at, are_notes) for conversation_id, row_id, at in cursor.fetchall()]


def _sought(word: str) -> str:
    """As a tsquery: a beginning, but a pair of characters whole. Words hold letters and digits only, so quotes suffice."""
    return f"'{word}'" if len(word) == 2 and not word.isascii() else f"'{word}':*"


def _rarest(cursor: Any, words: Sequence[str]) -> str:
    """What to ask the index for: one rare word, or, where all are common, everything at once."""
    if len(words) > 1:
        rows = {word: _estimate(cursor, _sought(word)) for word in words}
        rarest = min(rows, key=lambda word: rows[word])
        if rows[rarest] <= RARE:
            return _sought(rarest)
    return " & ".join(map(_sought, words))


def _estimate(cursor: Any, sought: str) -> int:
    """How many messages PostgreSQL expects to fit a tsquery, from its statistics alone."""
    cursor.execute("EXPLAIN (FORMAT JSON) SELECT 1 FROM conversations_message WHERE words @@ %s::tsquery", [sought])
    plan = cursor.fetchone()[0]
    return int((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]["Plan Rows"])


def _rows(places: Sequence[_Place], words: Sequence[str], *, viewer_id: int) -> list[Row]:
    found = {
        row.id: row
        for row in rows_of(Conversation.objects.filter(pk__in=[p.conversation_id for p in places]), viewer_id=viewer_id)
    }
    said = _texts(places)
    return [
        replace(found[p.conversation_id], found_role=said[p.id][0], found=snippet(said[p.id][1], words))
        for p in places
        if p.conversation_id in found and p.id in said
    ]


def _texts(places: Sequence[_Place]) -> dict[UUID, tuple[str, str]]:
    """Who wrote what at each place, by its id; "note" for a colleague's note."""
    messages = Message.objects.filter(pk__in=[place.id for place in places if not place.is_note])
    said = {row_id: (role, text) for row_id, role, text in messages.values_list("pk", "role", "text")}
    noted = [place for place in places if place.is_note]
    if noted:
        notes = Note.objects.filter(
            conversation__in=[place.conversation_id for place in noted], client_note_id__in=[place.id for place in noted]
        )
        said |= {row_id: ("note", text) for row_id, text in notes.values_list("client_note_id", "text")}
    return said


def snippet(text: str, words: Sequence[str]) -> tuple[tuple[str, bool], ...]:
    """The part of a text around its first sought word, cut where the sought words begin and end."""
    plain = " ".join(without_markup(unicodedata.normalize("NFKC", text)).split())
    sought = re.compile("|".join(re.escape(word) for word in words), re.I)
    first = sought.search(plain)
    start = max(0, (first.start() if first else 0) - SNIPPET_BEFORE)
    end = (first.end() if first else 0) + SNIPPET_AFTER
    shown = ("…" if start else "") + plain[start:end] + ("…" if end < len(plain) else "")
    pieces: list[tuple[str, bool]] = []
    position = 0
    for match in sought.finditer(shown):
        pieces += [(shown[position : match.start()], False), (match.group(), True)]
        position = match.end()
    pieces.append((shown[position:], False))
    return tuple(piece for piece in pieces if piece[0])
