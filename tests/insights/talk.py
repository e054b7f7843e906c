"""Conversations made by hand, with a clock of their own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from chatbot.conversations.models import Citation, Conversation, ConversationEvent, Customer, Generation, Message
from chatbot.insights import facts
from chatbot.insights.models import ConversationFact
from chatbot.learning.models import Feedback, Satisfaction
from support_portal.accounts.models import User

HOUR = timedelta(hours=1)


class Talk:
    """Each step happens `later` than the one before; begun: how long before now the conversation started."""

    def __init__(self, *, begun: timedelta = timedelta(days=5), at: datetime | None = None, **fields: Any) -> None:
        self.at = at or timezone.now() - begun
        self.conversation = Conversation.objects.create(customer=Customer.objects.create(), **fields)
        self._seq = 0

    def asks(self, *, later: timedelta = timedelta(0)) -> Talk:
        self._say(role="customer", later=later)
        return self

    def replies(
        self,
        decision: str = "direct",
        *,
        rating: int = 0,
        source: str = "",
        later: timedelta = timedelta(seconds=4),
        **written: Any,
    ) -> Talk:
        """The bot; written: fields of the generation. A status other than complete is given as `status`."""
        status = written.pop("status", "complete")
        before = self.at
        message = self._say(role="assistant", later=later, status=status, decision=decision, finished_at=self.at + later)
        written = {"created_at": before, "started_at": before} | written
        generation = Generation.objects.create(
            conversation=self.conversation, reply=message, status="done", decision=decision, finished_at=self.at,
        )  # fmt: skip
        Generation.objects.filter(pk=generation.pk).update(**written)
        if rating:
            Feedback.objects.create(generation=generation, message=message, rating=rating)
        if source:
            Citation.objects.create(message=message, number=1, key=source, title=source, revision=1)
        self._set(first_response_at=self.conversation.first_response_at or self.at)
        return self

    def person(self, author: User, *, later: timedelta = timedelta(minutes=2)) -> Talk:
        self._say(role="agent", later=later, author=author, author_name=author.display_name)
        first = self.conversation.first_agent_response_at or self.at
        self._set(first_agent_response_at=first, first_response_at=self.conversation.first_response_at or self.at)
        return self

    def happens(self, kind: str, *, later: timedelta = timedelta(0)) -> Talk:
        self.at += later
        event = ConversationEvent.objects.create(conversation=self.conversation, kind=kind)
        ConversationEvent.objects.filter(pk=event.pk).update(at=self.at)
        return self

    def waits(self) -> Talk:
        """For a person."""
        self.happens("asked")
        self._set(status="waiting", waiting_since=self.at, promised_until=self.at, handoff_reason="asked")
        return self

    def ends(self, *, later: timedelta = timedelta(minutes=1)) -> Talk:
        self.happens("resolved", later=later)
        self._set(status="resolved", resolved_at=self.at, waiting_since=None, promised_until=None)
        return self

    def opens_again(self, *, later: timedelta) -> Talk:
        self.happens("reopened", later=later)
        self._set(status="open", resolved_at=None)
        return self

    def rated(self, about: str, score: int | None) -> Talk:
        Satisfaction.objects.create(conversation=self.conversation, about=about, score=score)
        return self

    def fact(self) -> ConversationFact:
        """Counted now."""
        Conversation.objects.filter(pk=self.conversation.pk).update(updated_at=timezone.now())
        facts.refresh()
        return ConversationFact.objects.get(pk=self.conversation.pk)

    def _set(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self.conversation, name, value)
        self.conversation.save(update_fields=[*fields, "updated_at"])

    def _say(self, *, role: str, later: timedelta, **fields: Any) -> Message:
        self.at += later
        self._seq += 1
        message = Message.objects.create(conversation=self.conversation, seq=self._seq, role=role, text="Words.", **fields)
        Message.objects.filter(pk=message.pk).update(created_at=self.at)
        return message
