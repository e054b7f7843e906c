"""The lists that people choose conversations from: queues, filters, pages, and the rows a change has touched.

Callers have checked the right `read_conversations`. Writes nothing. A page is found along one index and costs the same however
many conversations there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from chatbot.conversations.models import Conversation, Generation, Mention, ReadMark
from chatbot.errors import InvalidInput

PAGE_CONVERSATIONS = 40
# More than this is shown as "999+": nobody reads the difference, and the database need not count on.
COUNT_UP_TO = 999
QUEUES = ("waiting", "mine", "mentions", "bot", "held", "contact", "resolved", "all")
# Lists that stay short, whatever the size of the house.
SHORT_QUEUES = frozenset({"waiting", "mine", "mentions", "held", "contact"})
RECENT_FOR_LANGUAGES = 2000

Status = Conversation.Status


@dataclass(frozen=True)
class Filters:
    """What a list shows. tag, language: as stored; team, assignee: ids, 0 for "none"; priority: one of Conversation.Priority."""

    queue: str = "all"
    team: int | None = None
    assignee: int | None = None
    tag: str = ""
    language: str = ""
    priority: int | None = None
    sentiment: str = ""
    unread: bool = False
    query: str = ""

    @property
    def by_wait(self) -> bool:
        """Whether the list is the queue as it is served: the most urgent and longest waiting first."""
        return self.queue == "waiting" and not self.query

    @property
    def is_personal(self) -> bool:
        """Whether it holds other conversations for each agent."""
        return self.unread or self.queue in ("mine", "held", "mentions")


@dataclass(frozen=True)
class Watched:
    """A list that one agent looks at, and the conversations whose rows it asks for."""

    filters: Filters
    viewer_id: int
    ids: tuple[UUID, ...]

    @property
    def kind(self) -> tuple[Filters, int]:
        """What decides which conversations it holds: the same for all agents, but for their own queues."""
        return self.filters, self.viewer_id if self.filters.is_personal else 0


@dataclass(frozen=True)
class Position:
    """Where a page ends: the last row's place. Written into links, so it is read with suspicion."""

    moment: datetime
    id: UUID
    priority: int = 0

    def __str__(self) -> str:
        return f"{self.priority}~{self.moment.isoformat()}~{self.id}"

    @classmethod
    def parse(cls, text: str) -> Position:
        priority, _, rest = text.partition("~")
        moment, _, row_id = rest.partition("~")
        try:
            position = cls(datetime.fromisoformat(moment), UUID(row_id), max(-9, min(int(priority), 9)))
            if position.moment.tzinfo is None:
                raise ValueError("a moment without its zone")
        except ValueError as error:
            raise InvalidInput("This link to a page of the list is broken.", code="page_unknown", field="before") from error
        return position


@dataclass(frozen=True)
class Row:
    """A conversation as a list shows it. found: where a search met it, as (text, is what was sought) pieces."""

    conversation: Conversation
    unread: bool
    unhelpful: int
    mentioned: bool
    found: tuple[tuple[str, bool], ...] = ()
    found_role: str = ""
    matches: bool = True

    @property
    def id(self) -> UUID:
        return self.conversation.pk

    @property
    def language(self) -> str:
        return self.conversation.language or self.conversation.locale

    @property
    def place(self) -> str:
        """What rows of one list are ordered by, as text that sorts: highest first, but in the waiting queue lowest first."""
        c = self.conversation
        if c.waiting_since is not None:
            return f"{9 - c.priority}~{c.waiting_since.isoformat()}~{c.pk}"
        return f"{c.last_message_at.isoformat() if c.last_message_at else ''}~{c.pk}"


@dataclass(frozen=True)
class Page:
    rows: list[Row]
    next: Position | None


@dataclass(frozen=True)
class Counts:
    waiting: int
    mine: int
    mentions: int
    contact: int


def page_of(filters: Filters, *, viewer_id: int, before: Position | None = None) -> Page:
    """One page of a list without a search. Raises InvalidInput for a queue that is none."""
    rows = matching(filters, viewer_id=viewer_id).filter(last_message_at__isnull=False)
    rows = _by_wait(rows, before) if filters.by_wait else _newest_first(rows, before)
    found = rows_of(rows[: PAGE_CONVERSATIONS + 1], viewer_id=viewer_id)
    page, more = found[:PAGE_CONVERSATIONS], len(found) > PAGE_CONVERSATIONS
    return Page(rows=page, next=_position(page[-1].conversation, by_wait=filters.by_wait) if more else None)


def touched(lists: Sequence[Watched]) -> list[list[Row]]:
    """The present rows that each list asks for; `matches` says whether it still holds them. Three queries for all lists."""
    ids = list({row_id for one in lists for row_id in one.ids})
    kinds = list(dict.fromkeys(one.kind for one in lists))
    inside = {f"in_{n}": Exists(matching(f, viewer_id=viewer).filter(pk=OuterRef("pk"))) for n, (f, viewer) in enumerate(kinds)}
    found: Iterable[Any] = _with_marks(Conversation.objects.filter(pk__in=ids)).annotate(**inside)
    rows = {row.pk: row for row in found}
    viewers = {one.viewer_id for one in lists}
    marks = ReadMark.objects.filter(agent__in=viewers, conversation__in=ids).values_list("agent", "conversation", "seq")
    read_up_to = {(agent, row_id): seq for agent, row_id, seq in marks}
    unseen = Mention.objects.filter(agent__in=viewers, note__conversation__in=ids, seen_at__isnull=True)
    mentioned = set(unseen.values_list("agent", "note__conversation"))
    return [
        [
            Row(
                conversation=c,
                unread=c.last_customer_seq > read_up_to.get((one.viewer_id, c.pk), 0),
                unhelpful=c.unhelpful,
                mentioned=(one.viewer_id, c.pk) in mentioned,
                matches=getattr(c, f"in_{kinds.index(one.kind)}"),
            )
            for c in (rows[row_id] for row_id in one.ids if row_id in rows)
        ]
        for one in lists
    ]


def counts(viewer_id: int) -> Counts:
    """How many are in the queues that call for somebody."""
    return counts_of([viewer_id])[viewer_id]


def counts_of(viewer_ids: Collection[int]) -> dict[int, Counts]:
    """The same for many agents at once. Four queries."""
    waiting = _count(Conversation.objects.filter(status=Status.WAITING))
    contact = _count(Conversation.objects.filter(contact=Conversation.Contact.LEFT))
    held = Conversation.objects.filter(status=Status.HELD, assigned_to__in=viewer_ids).values_list("assigned_to")
    mine = dict(held.annotate(n=Count("pk")).order_by())
    unseen = Mention.objects.filter(agent__in=viewer_ids, seen_at__isnull=True).values_list("agent")
    mentions = dict(unseen.annotate(n=Count("pk")).order_by())
    return {one: Counts(waiting, mine.get(one, 0), mentions.get(one, 0), contact) for one in viewer_ids}


def languages() -> list[str]:
    """What customers have written in lately."""
    recent = Conversation.objects.filter(last_message_at__isnull=False).order_by("-last_message_at", "-id")
    pairs = recent.values_list("language", "locale")[:RECENT_FOR_LANGUAGES]
    return sorted({language or locale for language, locale in pairs})


def matching(filters: Filters, *, viewer_id: int) -> QuerySet[Conversation]:
    """The conversations of a list, in no order. Raises InvalidInput for a queue that is none."""
    rows = _in_queue(filters.queue, viewer_id=viewer_id)
    if filters.team is not None:
        rows = rows.filter(team=filters.team) if filters.team else rows.filter(team__isnull=True)
    if filters.assignee is not None:
        rows = rows.filter(assigned_to=filters.assignee) if filters.assignee else rows.filter(assigned_to__isnull=True)
    if filters.tag:
        rows = rows.filter(tags__contains=[filters.tag])
    if filters.language:
        rows = rows.filter(Q(language=filters.language) | Q(language="", locale=filters.language))
    if filters.priority is not None:
        rows = rows.filter(priority=filters.priority)
    if filters.sentiment:
        rows = rows.filter(sentiment=filters.sentiment)
    return rows.filter(last_customer_seq__gt=_read_up_to(viewer_id)) if filters.unread else rows


def rows_of(conversations: QuerySet[Conversation], *, viewer_id: int) -> list[Row]:
    """What a row shows, in the one query that finds the page."""
    mentions = Mention.objects.filter(note__conversation=OuterRef("pk"), agent=viewer_id, seen_at__isnull=True)
    annotated: Iterable[Any] = _with_marks(conversations).annotate(read_up_to=_read_up_to(viewer_id), mentioned=Exists(mentions))
    return [
        Row(conversation=c, unread=c.last_customer_seq > c.read_up_to, unhelpful=c.unhelpful, mentioned=c.mentioned)
        for c in annotated
    ]


def _with_marks(conversations: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """With what every agent's row shows beside the conversation's own columns."""
    thumbs = Generation.objects.filter(conversation=OuterRef("pk"), feedback__rating=-1).order_by().values("conversation")
    return conversations.select_related("assigned_to", "team").annotate(
        unhelpful=Coalesce(Subquery(thumbs.values(n=Count("pk"))), 0)
    )


def _in_queue(queue: str, *, viewer_id: int) -> QuerySet[Conversation]:
    rows = Conversation.objects.all()
    queues = {
        "waiting": Q(status=Status.WAITING),
        "mine": Q(status=Status.HELD, assigned_to=viewer_id),
        "held": Q(status=Status.HELD) & ~Q(assigned_to=viewer_id),
        "bot": Q(status=Status.OPEN),
        "resolved": Q(status=Status.RESOLVED),
        "contact": Q(contact=Conversation.Contact.LEFT),
        "all": Q(),
        "mentions": Q(Exists(Mention.objects.filter(note__conversation=OuterRef("pk"), agent=viewer_id))),
    }
    if queue not in queues:
        raise InvalidInput("There is no such list of conversations.", code="queue_unknown", field="queue")
    return rows.filter(queues[queue])


def _read_up_to(viewer_id: int) -> Any:
    marks = ReadMark.objects.filter(conversation=OuterRef("pk"), agent=viewer_id)
    return Coalesce(Subquery(marks.values("seq")[:1]), 0)


def _newest_first(rows: QuerySet[Conversation], before: Position | None) -> QuerySet[Conversation]:
    if before is not None:
        # Row comparison, written so that PostgreSQL walks the index instead of sorting.
        rows = rows.filter(last_message_at__lte=before.moment).exclude(last_message_at=before.moment, pk__gte=before.id)
    return rows.order_by("-last_message_at", "-id")


def _by_wait(rows: QuerySet[Conversation], before: Position | None) -> QuerySet[Conversation]:
    if before is not None:
        later = Q(waiting_since__gt=before.moment) | Q(waiting_since=before.moment, pk__gt=before.id)
        rows = rows.filter(priority__lte=before.priority).filter(Q(priority__lt=before.priority) | later)
    return rows.order_by(F("priority").desc(), "waiting_since", "id")


def _position(conversation: Conversation, *, by_wait: bool) -> Position:
    moment = conversation.waiting_since if by_wait else conversation.last_message_at
    assert moment is not None  # A list holds only rows that have it.
    return Position(moment, conversation.pk, conversation.priority if by_wait else 0)


def _count(rows: QuerySet[Any]) -> int:
    return rows[: COUNT_UP_TO + 1].count()
