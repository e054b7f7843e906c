"""One row a conversation, for a spreadsheet. Walks an index in small pages, so that any number of them needs little memory.

Callers have checked the right to read insights; for `with_text`, the right to read conversations too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from chatbot.conversations.models import Message
from chatbot.insights import naming
from chatbot.insights.models import ConversationFact
from chatbot.insights.reports import Selection
from chatbot.learning.models import Satisfaction

PAGE_ROWS = 500
# What one cell of a spreadsheet program can hold.
MAX_CELL_CHARS = 32_000
Cell = str | int | float | bool | datetime | None
COLUMNS = (
    *("conversation", "begun", "last_message", "language", "channel", "team", "agent", "outcome", "handoff_reason"),
    *("reopened_within_72_h", "customer_messages", "bot_answers", "agent_messages", "first_response_s", "person_response_s"),
    *("resolution_s", "model_wait_s", "first_text_s", "csat_bot", "csat_person", "thumbs_up", "thumbs_down"),
    *("topic", "sentiment", "sources"),
)
TEXT_COLUMNS = ("csat_comments", "transcript")
_SPEAKERS = {"customer": "Customer", "assistant": "Bot", "agent": "Agent", "system": "Notice"}


@dataclass(frozen=True)
class _Names:
    teams: dict[int, str]
    agents: dict[int, str]


def columns(*, with_text: bool) -> tuple[str, ...]:
    return COLUMNS + (TEXT_COLUMNS if with_text else ())


def rows(selection: Selection, *, with_text: bool) -> Iterator[list[Cell]]:
    """The conversations of the period, oldest first; two queries a page, two more with texts."""
    teams, after = naming.team_names(), None
    while page := list(_page(selection, after=after)):
        agents = naming.agent_names({fact.agent_id for fact in page if fact.agent_id is not None})
        names = _Names(teams, agents)
        texts = _texts([fact.conversation_id for fact in page]) if with_text else {}
        for fact in page:
            yield _row(fact, names, zone=selection.period.zone) + texts.get(fact.conversation_id, ["", ""] if with_text else [])
        after = page[-1]


def count(selection: Selection) -> int:
    return _all(selection).count()


def _all(selection: Selection) -> QuerySet[ConversationFact]:
    facts = ConversationFact.objects.filter(begun_at__gte=selection.period.starts, begun_at__lt=selection.period.ends)
    wanted = {"team_id": selection.team, "locale": selection.locale, "channel": selection.channel}
    return facts.filter(**{name: value for name, value in wanted.items() if value not in (None, "")})


def _page(selection: Selection, *, after: ConversationFact | None) -> QuerySet[ConversationFact]:
    facts = _all(selection)
    if after is not None:
        # Row comparison, written so that PostgreSQL walks the index instead of sorting.
        facts = facts.filter(begun_at__gte=after.begun_at).exclude(begun_at=after.begun_at, pk__lte=after.pk)
    return facts.order_by("begun_at", "pk")[:PAGE_ROWS]


def _row(fact: ConversationFact, names: _Names, *, zone: ZoneInfo) -> list[Cell]:
    return [
        str(fact.pk),
        fact.begun_at.astimezone(zone),
        fact.quiet_since.astimezone(zone),
        *(fact.locale, fact.channel),
        names.teams.get(fact.team_id or 0, ""),
        names.agents.get(fact.agent_id or 0, ""),
        *(fact.outcome, fact.handoff_reason, fact.reopened),
        *(fact.customer_messages, fact.bot_answers, fact.agent_messages),
        *(_seconds(value) for value in (fact.first_response_s, fact.person_response_s, fact.resolution_s)),
        *(_seconds(value) for value in (fact.queue_s, fact.first_text_s)),
        *(fact.csat_bot, fact.csat_person, fact.thumbs_up, fact.thumbs_down),
        *(fact.topic, fact.sentiment, " ".join(fact.sources)),
    ]


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _texts(ids: Sequence[UUID]) -> dict[UUID, list[Cell]]:
    """What was written, by conversation: comments on the points given, and the transcript."""
    said: dict[UUID, list[str]] = defaultdict(list)
    messages = Message.objects.filter(conversation__in=ids).exclude(text="").order_by("conversation_id", "seq")
    for conversation_id, role, text in messages.values_list("conversation_id", "role", "text"):
        said[conversation_id].append(f"{_SPEAKERS[role]}: {text}")
    comments: dict[UUID, list[str]] = defaultdict(list)
    given = Satisfaction.objects.filter(conversation__in=ids).exclude(comment="").order_by("about")
    for conversation_id, comment in given.values_list("conversation_id", "comment"):
        comments[conversation_id].append(comment)
    return {one: ["\n".join(comments[one])[:MAX_CELL_CHARS], "\n\n".join(said[one])[:MAX_CELL_CHARS]] for one in ids}
