"""Canned replies: found by "/" and a few letters, with variables that are filled in for the conversation they are used in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from chatbot import runtime
from chatbot.answering.language import same_language
from chatbot.assist.models import MAX_CANNED_CHARS, MAX_SHORTCUT_CHARS, MAX_TITLE_CHARS, CannedReply
from chatbot.characters import strip_invisible
from chatbot.conversations.access import access_conversation_as_staff
from chatbot.conversations.models import Conversation
from chatbot.errors import Conflict, InvalidInput, NotFound
from chatbot.staffing import audit
from chatbot.staffing.access import teams_of

VARIABLES = {
    "customer_name": "the customer's name, where it is known",
    "agent_name": "your own name",
    "company_name": "the company's name",
    "company_phone": "its telephone number",
    "company_email": "its e-mail address",
    "conversation_id": "the first eight characters of the conversation's number",
}
# {customer_name} or, with words for when it is not known, {customer_name|there}.
_VARIABLE = re.compile(r"\{([a-z_]{1,40})(?:\|([^{}\n]{0,80}))?\}")
_SHORTCUT = re.compile(r"[\w-]+\Z")


@dataclass(frozen=True)
class Words:
    """A canned reply as its author typed it. team_id None: for everybody. locale "": for every language."""

    shortcut: str
    title: str
    text: str
    locale: str = ""
    team_id: int | None = None


@dataclass(frozen=True)
class Offered:
    """A canned reply ready to send. missing: the variables that nothing is known for; they stand in the text as typed."""

    id: int
    shortcut: str
    title: str
    text: str
    team: str
    locale: str
    missing: tuple[str, ...]


def all_replies(*, query: str = "") -> QuerySet[CannedReply]:
    """For the page that manages them. The caller has checked the right."""
    rows = CannedReply.objects.select_related("team", "written_by")
    words = query.replace("\x00", "").strip()[:100]
    return rows.filter(Q(shortcut__icontains=words) | Q(title__icontains=words) | Q(text__icontains=words)) if words else rows


def offered(conversation_id: UUID, *, agent_id: int, agent_name: str) -> list[Offered]:
    """What this agent may use here, the most used first; those in the customer's language before the others. Raises NotFound."""
    conversation = access_conversation_as_staff(conversation_id)
    teams = [team.pk for team in teams_of(agent_id)] + ([conversation.team_id] if conversation.team_id else [])
    rows = (
        CannedReply.objects.filter(Q(team__isnull=True) | Q(team__in=teams))
        .select_related("team")
        .order_by("-use_count", "shortcut")
    )
    language = conversation.language or conversation.locale
    known = values_for(conversation, agent_name=agent_name)
    found = [_offered(reply, known) for reply in rows[:500]]
    found.sort(key=lambda one: bool(one.locale) and not same_language(one.locale, language))
    return found


def values_for(conversation: Conversation, *, agent_name: str) -> dict[str, str]:
    """The variables' values here; "" for what nobody knows."""
    company = runtime.company()
    return {
        "customer_name": str(getattr(conversation.customer, "name", "") or ""),
        "agent_name": agent_name,
        "company_name": company.name,
        "company_phone": company.phone,
        "company_email": company.email,
        "conversation_id": str(conversation.pk)[:8],
    }


def fill_in(text: str, *, known: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The text with its variables filled in, and the names of those that could not be."""
    missing: dict[str, None] = {}

    def value(found: re.Match[str]) -> str:
        name, otherwise = found[1], found[2]
        if known.get(name):
            return known[name]
        if otherwise is not None:
            return otherwise
        missing[name] = None
        return found[0]

    return _VARIABLE.sub(value, text), tuple(missing)


def access_reply(reply_id: int) -> CannedReply:
    found = CannedReply.objects.select_related("team").filter(pk=reply_id).first()
    if found is None:
        raise NotFound("This canned reply does not exist any more.", code="canned_not_found")
    return found


def add(words: Words, *, author: AbstractBaseUser) -> CannedReply:
    """Raises InvalidInput, and Conflict where the shortcut is taken for that team and language."""
    return _save(CannedReply(written_by_id=author.pk), _checked(words))


def change(reply_id: int, *, words: Words, author: AbstractBaseUser) -> CannedReply:
    """Raises NotFound, InvalidInput, Conflict."""
    reply = access_reply(reply_id)
    reply.written_by_id = author.pk
    return _save(reply, _checked(words))


@transaction.atomic
def remove(reply_id: int, *, by_id: int) -> None:
    reply = access_reply(reply_id)
    audit.record(by_id, "canned_reply.removed", f"canned reply {reply_id}", {"shortcut": reply.shortcut})
    reply.delete()


def count_use(reply_id: int) -> None:
    """Somebody has put it into a message. One that was removed meanwhile is passed over."""
    CannedReply.objects.filter(pk=reply_id).update(use_count=F("use_count") + 1, last_used_at=Now())


def _offered(reply: CannedReply, known: Mapping[str, str]) -> Offered:
    text, missing = fill_in(reply.text, known=known)
    team = reply.team.name if reply.team else ""
    return Offered(reply.pk, reply.shortcut, reply.title, text, team, reply.locale, missing)


def _checked(words: Words) -> Words:
    shortcut = words.shortcut.strip().lstrip("/").lower()
    title, text = (" ".join(strip_invisible(words.title).split()), strip_invisible(words.text).strip())
    if not _SHORTCUT.match(shortcut) or len(shortcut) > MAX_SHORTCUT_CHARS:
        raise InvalidInput(f"A shortcut has 1 to {MAX_SHORTCUT_CHARS} letters, digits, - or _, without blanks.", field="shortcut")
    for field, value, most in (("title", title, MAX_TITLE_CHARS), ("text", text, MAX_CANNED_CHARS)):
        if not value:
            raise InvalidInput(f"The {field} is empty.", field=field)
        if len(value) > most:
            raise InvalidInput(f"The {field} has {len(value):,} characters; at most {most:,} are allowed.", field=field)
    unknown = sorted({found[1] for found in _VARIABLE.finditer(text)} - set(VARIABLES))
    if unknown:
        raise InvalidInput(f"There is no variable {{{unknown[0]}}}. Known are: {', '.join(VARIABLES)}.", field="text")
    return Words(shortcut, title, text, words.locale, words.team_id)


def _save(reply: CannedReply, words: Words) -> CannedReply:
    reply.shortcut, reply.title, reply.text = words.shortcut, words.title, words.text
    reply.locale, reply.team_id = words.locale, words.team_id
    try:
        with transaction.atomic():
            new = reply.pk is None
            reply.save()
            detail = {"shortcut": reply.shortcut, "team": reply.team_id}
            audit.record(reply.written_by_id, f"canned_reply.{'added' if new else 'changed'}", f"canned reply {reply.pk}", detail)
    except IntegrityError as error:
        raise Conflict(f"/{words.shortcut} is taken already for this team and language.", field="shortcut") from error
    return reply
