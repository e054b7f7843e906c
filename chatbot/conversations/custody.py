"""Who has a conversation, and the one way in which its row changes: a deed, done under the row's lock.

A deed gathers what it says to the customer and what goes into the history, writes the row by a conditional update that must hit
exactly one row, and after the commit puts the news on the streams of the customer and of the desk.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from chatbot import protocol
from chatbot.conversations import notices, publishing, texts, transcripts
from chatbot.conversations.models import Conversation, Message
from chatbot.conversations.staff_frames import ConversationTouched, OwnerChanged, Person, What
from chatbot.conversations.staff_models import ConversationEvent
from chatbot.errors import Conflict, NotFound
from chatbot.staffing import audit
from chatbot.staffing.models import Team

Status = Conversation.Status
Kind = ConversationEvent.Kind
_NOBODYS = {"assigned_to": None, "held_since": None}
_NOT_WAITING: dict[str, Any] = {"waiting_since": None, "promised_until": None, "opens_at": None}


@dataclass(frozen=True)
class Custody:
    """Who had a conversation, and how it was marked: what an undo needs."""

    status: str
    assigned_to_id: int | None
    team_id: int | None
    priority: int
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    conversation: Conversation
    before: Custody

    @property
    def after(self) -> Custody:
        return custody_of(self.conversation)


def lock(conversation_id: UUID) -> Conversation:
    """The conversation, until the end of the transaction. Raises NotFound.

    Joins nothing: who has waited for a lock gets the row's new columns, but the old rows that were joined to it.
    """
    conversation = Conversation.objects.select_for_update().filter(pk=conversation_id).first()
    if conversation is None:
        raise NotFound("This conversation does not exist.", code="conversation_not_found")
    return conversation


def agent_of(agent_id: int) -> AbstractBaseUser:
    """Somebody who works here now. Raises NotFound for an account that is closed."""
    agent = get_user_model().objects.filter(pk=agent_id, is_active=True).first()
    if agent is None:
        raise NotFound("This account does not exist or is closed.", code="agent_not_found")
    return agent


def custody_of(conversation: Conversation) -> Custody:
    return Custody(
        status=conversation.status,
        assigned_to_id=conversation.assigned_to_id,
        team_id=conversation.team_id,
        priority=conversation.priority,
        tags=tuple(conversation.tags),
    )


def with_bot() -> dict[str, Any]:
    return {"status": Status.OPEN, **_NOBODYS, **_NOT_WAITING}


def held_by(agent: AbstractBaseUser, *, now: datetime) -> dict[str, Any]:
    return {"status": Status.HELD, "assigned_to": agent, "held_since": now, **_NOT_WAITING}


def waiting(*, since: datetime, promised_until: datetime, opens_at: datetime | None) -> dict[str, Any]:
    times = {"waiting_since": since, "promised_until": promised_until, "opens_at": opens_at}
    return {"status": Status.WAITING, **_NOBODYS, **times}


def resolved(*, now: datetime, by: AbstractBaseUser | None) -> dict[str, Any]:
    return {"status": Status.RESOLVED, **_NOBODYS, **_NOT_WAITING, "resolved_at": now, "resolved_by": by}


class Deed:
    """One change of a conversation that the caller has locked. Ends with `store`, inside the caller's transaction.

    by: whose act it is; nobody for the customer's and the product's own.
    """

    def __init__(self, conversation: Conversation, *, by: AbstractBaseUser | None = None) -> None:
        self.conversation = conversation
        self.by = by
        self.now = timezone.now()
        self.before = custody_of(conversation)
        self.silenced: list[int] = []
        self._fields: dict[str, Any] = {}
        self._new: list[Message] = []
        self._changed: list[Message] = []
        self._afterwards: list[Callable[[], object]] = []

    def say(self, notice: str, **values: str) -> None:
        """Tell the customer, in the transcript."""
        text = notices.sentence(notice, locale=self.conversation.locale, **values)
        self.add_message(role=Message.Role.SYSTEM, notice=notice, text=text)

    def add_message(self, **fields: Any) -> Message:
        """Write the conversation's next message; numbers have no gap because the row is locked."""
        conversation = self.conversation
        message = Message.objects.create(conversation=conversation, seq=conversation.last_seq + 1, **fields)
        conversation.last_seq += 1
        self._new.append(message)
        self._fields |= said_fields(conversation, message, at=self.now)
        return message

    def changed_message(self, message: Message) -> None:
        """Tell the customer's browsers of a message that was there before; its row is written."""
        self._changed.append(message)

    def afterwards(self, act: Callable[[], object]) -> None:
        """Do this after the commit, once the news is out."""
        self._afterwards.append(act)

    def remember(
        self,
        kind: ConversationEvent.Kind,
        *,
        to_agent: AbstractBaseUser | None = None,
        team: Team | None = None,
        reason: str = "",
        data: dict[str, Any] | None = None,
    ) -> None:
        """Add to the conversation's history, and what somebody did with a right to the audit log."""
        since = self.conversation.waiting_since
        waited = (
            (self.now - since).total_seconds() * 1000 if since and kind in (Kind.CLAIMED, Kind.ASSIGNED, Kind.EXPIRED) else None
        )
        ConversationEvent.objects.create(
            conversation=self.conversation,
            kind=kind,
            actor_id=self.by.pk if self.by else None,
            to_agent_id=to_agent.pk if to_agent else None,
            team=team,
            reason=reason,
            data=data or {},
            waited_ms=None if waited is None else max(0, round(waited)),
        )
        if self.by is not None:
            told = {"to": to_agent.pk if to_agent else None, "team": team.pk if team else None, "reason": reason or None}
            known = {name: value for name, value in told.items() if value is not None}
            audit.record(self.by.pk, f"conversation.{kind.value}", f"conversation {self.conversation.pk}", known)

    def store(self, what: What, **fields: Any) -> Change:
        """Write the row, and announce after the commit. Raises Conflict when it is not in the state that the deed began with."""
        conversation = self.conversation
        if fields.get("status", Status.RESOLVED) != Status.RESOLVED and self.before.status == Status.RESOLVED:
            fields |= {"resolved_at": None, "reopened_at": self.now, "reopen_count": conversation.reopen_count + 1}
            self.remember(Kind.REOPENED)
        fields = {**self._fields, **fields, "last_seq": conversation.last_seq}
        fields |= {"version": conversation.version + 1, "updated_at": self.now}
        unchanged = Conversation.objects.filter(
            pk=conversation.pk, status=self.before.status, assigned_to=self.before.assigned_to_id, version=conversation.version
        )
        if unchanged.update(**fields) != 1:
            raise Conflict("This conversation has changed meanwhile. Nothing was done.", code="conversation_changed")
        for name, value in fields.items():
            setattr(conversation, name, value)
        self._announce_later(what)
        return Change(conversation, self.before)

    def unchanged(self) -> Change:
        return Change(self.conversation, self.before)

    def _announce_later(self, what: What) -> None:
        conversation = self.conversation
        key = publishing.stream_key(conversation.pk)
        views = [transcripts.new_message_view(message) for message in self._new]
        views += [view for message in self._changed if (view := transcripts.view_of(message.pk))]
        entries: list[publishing.Entry] = []
        if what in ("status", "owner", "team", "contact"):
            # First, so that whoever reads the stream knows who speaks.
            entries.append((key, protocol.ConversationChanged(conversation=transcripts.conversation_view(conversation))))
            owner = OwnerChanged(conversation_id=conversation.pk, version=conversation.version)
            entries.append((publishing.staff_key(conversation.pk), owner))
        entries += [(key, protocol.MessageChanged(message=view)) for view in views]
        touched = ConversationTouched(conversation_id=conversation.pk, version=conversation.version, what=what)
        entries.append((publishing.DESK_KEY, touched))
        transaction.on_commit(functools.partial(publishing.append, entries, silenced=tuple(self.silenced)))
        for act in self._afterwards:
            transaction.on_commit(act)


def person(agent: AbstractBaseUser) -> Person:
    return Person(id=agent.pk, name=transcripts.name_of(agent))


def said_fields(conversation: Conversation, message: Message, *, at: datetime) -> dict[str, Any]:
    """What lists show of a conversation, brought up to this message. The caller holds the row's lock and stores them."""
    if message.role == Message.Role.SYSTEM or not message.text:
        return {}
    fields: dict[str, Any] = {
        "last_message_at": at,
        "last_role": message.role,
        "last_message_preview": texts.preview_of(message.text),
    }
    if message.role == Message.Role.CUSTOMER:
        return fields | {"last_customer_at": at, "last_customer_seq": message.seq}
    fields["first_response_at"] = conversation.first_response_at or at
    if message.role == Message.Role.AGENT:
        fields |= {"last_agent_at": at, "first_agent_response_at": conversation.first_agent_response_at or at}
    return fields


def touch(conversation_id: UUID, what: What) -> publishing.Entry | None:
    """Raise the version for a change that needs no lock, and return the news of it; None when the conversation is gone."""
    if not Conversation.objects.filter(pk=conversation_id).update(version=F("version") + 1, updated_at=timezone.now()):
        return None
    version = Conversation.objects.values_list("version", flat=True).get(pk=conversation_id)
    return publishing.DESK_KEY, ConversationTouched(conversation_id=conversation_id, version=version, what=what)
