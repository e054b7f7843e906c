"""The desk's lists as addresses: what stands after the "?" becomes Filters, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict

from chatbot.answering.language import NAMES
from chatbot.conversations import inbox, labels
from chatbot.conversations.inbox import Filters
from chatbot.conversations.models import Conversation
from chatbot.errors import InvalidInput
from chatbot.staffing.models import Team
from support_portal.accounts.models import User
from support_portal.accounts.roles import may

MAX_TEXT = 200
MAX_TAGS = 100
# (queue, its name, the key that opens it)
QUEUES = [
    ("waiting", "Waiting", "1"),
    ("mine", "Mine", "2"),
    ("mentions", "Mentions", "3"),
    ("bot", "Bot is answering", "4"),
    ("held", "With colleagues", "5"),
    ("contact", "Left an e-mail", "6"),
    ("resolved", "Resolved", "7"),
    ("all", "All", "8"),
]
# The names of earlier addresses, which are in people's bookmarks.
_FORMER = {"waiting": "waiting", "open": "bot", "closed": "resolved"}


@dataclass(frozen=True)
class Choice:
    value: str
    label: str
    chosen: bool


@dataclass(frozen=True)
class Select:
    """One filter as a form shows it."""

    name: str
    label: str
    choices: list[Choice]


def parse(given: Mapping[str, str]) -> Filters:
    """Read an address. Raises InvalidInput for what no link of ours contains."""
    queue = given.get("queue") or _FORMER.get(given.get("status", ""), "")
    if given.get("status") and not queue or queue and queue not in inbox.QUEUES:
        raise InvalidInput("There is no such list of conversations.", code="queue_unknown", field="queue")
    query = given.get("q", "").replace("\x00", " ").strip()[:MAX_TEXT]
    return Filters(
        queue=queue or ("all" if query else "waiting"),
        team=_number(given.get("team", ""), low=0),
        assignee=_number(given.get("assignee", ""), low=0),
        tag=given.get("tag", "").replace("\x00", "")[:MAX_TEXT],
        language=given.get("language", "").replace("\x00", "")[:MAX_TEXT],
        priority=_number(given.get("priority", ""), low=-1),
        sentiment=given.get("sentiment", "").replace("\x00", "")[:MAX_TEXT],
        unread=bool(given.get("unread")),
        query=query,
    )


def parse_query(text: str) -> Filters:
    return parse(QueryDict(text[: 4 * MAX_TEXT]).dict())


def address(filters: Filters, **changes: str | int | None) -> str:
    """The part of the address from the "?" on, in one form for one list."""
    values = {
        "queue": filters.queue,
        "q": filters.query,
        "team": filters.team,
        "assignee": filters.assignee,
        "tag": filters.tag,
        "language": filters.language,
        "priority": filters.priority,
        "sentiment": filters.sentiment,
        "unread": "1" if filters.unread else "",
    } | changes
    return "?" + urlencode({name: value for name, value in values.items() if value not in (None, "")})


@dataclass(frozen=True)
class Offered:
    """Whom and what conversations can be given to and marked with, read once for a page."""

    people: list[User]
    teams: list[Team]
    tags: list[str]
    languages: list[str]

    def for_dialogs(self) -> dict[str, Any]:
        return {
            "people_choices": [{"value": f"user:{user.pk}", "label": user.display_name, "id": user.pk} for user in self.people],
            "team_choices": [{"value": f"team:{team.pk}", "label": f"Queue of {team.name}"} for team in self.teams],
            "tag_choices": self.tags,
            "priority_choices": [{"value": str(p.value), "label": str(p.label)} for p in reversed(Conversation.Priority)],
        }


def offered() -> Offered:
    named_teams = list(Team.objects.order_by("-is_default", "name", "pk"))
    return Offered(agents(), named_teams, labels.known_tags(limit=MAX_TAGS), inbox.languages())


def selects(filters: Filters, *, offered: Offered) -> list[Select]:
    """The filters that a form offers, with what is chosen."""
    people = [(str(user.pk), user.display_name) for user in offered.people]
    return [
        _select("team", "Team", [(str(team.pk), team.name) for team in offered.teams], filters.team),
        _select("assignee", "Assignee", [*people, ("0", "Nobody")], filters.assignee),
        _select("tag", "Tag", [(tag, tag) for tag in offered.tags], filters.tag),
        _select("language", "Language", [(code, NAMES.get(code, code)) for code in offered.languages], filters.language),
        _select("priority", "Priority", [(str(p.value), p.label) for p in reversed(Conversation.Priority)], filters.priority),
        _select("sentiment", "Mood", [(s.value, s.label) for s in Conversation.Sentiment if s.value], filters.sentiment),
    ]


def agents() -> list[User]:
    """The people a conversation can be given to."""
    users = User.objects.filter(is_active=True).order_by("first_name", "last_name", "username")
    return [user for user in users if may(user, "take_conversations")]


def filter_count(filters: Filters) -> int:
    """How many filters narrow the list."""
    given = (filters.team, filters.assignee, filters.priority, filters.tag or None, filters.language or None)
    return sum(value is not None for value in given) + bool(filters.sentiment) + filters.unread


def _select(name: str, label: str, pairs: list[tuple[str, str]], chosen: int | str | None) -> Select:
    present = "" if chosen is None else str(chosen)
    known = {value for value, _ in pairs}
    # A filter of a link stays visible even where nothing has this value any more.
    extra = [(present, present)] if present and present not in known else []
    return Select(name, label, [Choice(value, text, value == present) for value, text in [("", "Any"), *pairs, *extra]])


def _number(text: str, *, low: int) -> int | None:
    if not text:
        return None
    try:
        number = int(text)
    except ValueError as error:
        raise InvalidInput("There is no such list of conversations.", code="filter_unknown") from error
    if not low <= number < 2**31:
        raise InvalidInput("There is no such list of conversations.", code="filter_unknown")
    return number
