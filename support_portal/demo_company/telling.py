"""One made-up conversation, told step by step on a clock of its own. Nothing is stored here; history.py stores the rows."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from chatbot.answering.decisions import decide
from chatbot.answering.wording import phrase
from chatbot.conversations.custody import said_fields
from chatbot.conversations.models import Citation, Conversation, ConversationEvent, Customer, Generation, Message
from chatbot.knowledge.models import Faq
from chatbot.learning.models import Feedback, Satisfaction
from chatbot.staffing.models import Team
from support_portal.accounts.models import User

# Whatever the demo makes up carries this tag, and ids under this one.
TAG = "demo"
NAMESPACE = UUID("5f2c1f4e-6a63-4d7e-9d0f-0a4f0d3f7a10")
MODEL_VERSION = "made-up"
_REASONS = {"direct": "confident", "compose": "moderate", "clarify": "unsure", "handoff": "unknown"}


@dataclass
class Rows:
    customers: list[Customer] = field(default_factory=list)
    conversations: list[Conversation] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    generations: list[Generation] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)
    satisfaction: list[Satisfaction] = field(default_factory=list)
    events: list[ConversationEvent] = field(default_factory=list)


class Telling:
    """Times are sound by construction: the clock only goes forward, and stops at `until`."""

    def __init__(self, rows: Rows, *, number: int, at: datetime, locale: str, topic: str, rng: random.Random) -> None:
        self.at = at
        self.rows = rows
        self.rng = rng
        customer = Customer(id=uuid5(NAMESPACE, f"customer {number}"), locale=locale, created_at=at)
        self.row = Conversation(
            id=uuid5(NAMESPACE, f"conversation {number}"),
            customer=customer,
            locale=locale,
            language=locale,
            topic=topic,
            channel="widget" if number % 3 == 0 else "page",
            tags=[TAG],
            version=1,
            created_at=at,
            updated_at=at,
        )
        rows.customers.append(customer)
        rows.conversations.append(self.row)
        self.last_answer: Generation | None = None

    def asks(self, text: str, *, pause: tuple[float, float] = (20, 150)) -> Message:
        if self.row.last_seq:
            self._wait(pause)
        else:
            self.row.title = " ".join(text.split())[:80]
        return self._say("customer", text)

    def answers(self, asked: Message, faq: Faq | None, *, confidence: float, near: list[Faq]) -> str:
        """The bot, as its decision at this confidence has it; returns the decision. faq: None where nothing is known."""
        decision = decide(confidence) if faq else ("clarify" if confidence >= 0.35 else "handoff")
        text, citation = _words(decision, faq, locale=self.row.locale)
        generation = self._write(asked, text, decision, trace=_trace(decision, confidence, near, self.row.locale))
        generation.reply.choices = [one.question for one in near[:3]] if decision == "clarify" else []
        if citation and faq:
            self.rows.citations.append(
                Citation(message=generation.reply, number=1, faq=faq, revision=faq.revision, key=faq.key, title=faq.question)
            )
            self.last_answer = generation
        return decision

    def offers_person(self, asked: Message) -> None:
        self._write(
            asked, phrase("person", language=self.row.locale), "handoff", trace={"reason": "asked", "decision": "handoff"}
        )

    def fails(self, asked: Message) -> None:
        generation = self._write(asked, "", "", trace={})
        generation.status = Generation.Status.FAILED
        generation.error = generation.reply.error = "engine_failed"
        generation.reply.status = Message.Status.FAILED

    def is_rated(self, rating: int, *, reason: str = "") -> None:
        """A thumb for the last answer."""
        if self.last_answer is not None:
            at = self.at + timedelta(seconds=9)
            row = Feedback(generation=self.last_answer, message=self.last_answer.reply, rating=rating, reason=reason)
            row.created_at = row.updated_at = at
            self.rows.feedback.append(row)

    def asks_for_person(self, reason: str, *, team: Team) -> None:
        self.row.handoff_reason, self.row.team = reason, team
        self._remember("asked", reason=reason, team=team)

    def is_claimed(self, agent: User, *, pause: tuple[float, float]) -> None:
        asked_at = self.at
        self._wait(pause)
        self._remember("claimed", actor=agent, to_agent=agent, waited_ms=round((self.at - asked_at).total_seconds() * 1000))

    def person(self, agent: User, text: str, *, pause: tuple[float, float] = (25, 140)) -> None:
        self._wait(pause)
        self._say("agent", text, author=agent, author_name=agent.display_name)

    def ends(self, by: User | None = None) -> None:
        self._wait((20, 240))
        self._remember("resolved", actor=by)
        self.row.status, self.row.resolved_at, self.row.resolved_by = Conversation.Status.RESOLVED, self.at, by

    def opens_again(self) -> None:
        self._wait((20 * 3600, 60 * 3600))
        self._remember("reopened")
        self.row.status, self.row.resolved_at, self.row.resolved_by = Conversation.Status.OPEN, None, None
        self.row.reopened_at, self.row.reopen_count = self.at, 1

    def gives(self, about: str, score: int) -> None:
        row = Satisfaction(conversation=self.row, about=about, score=score)
        row.created_at = row.updated_at = self.at + timedelta(seconds=15)
        self.rows.satisfaction.append(row)

    def waits(self, *, since: datetime, until: datetime) -> None:
        self.row.status, self.row.waiting_since, self.row.promised_until = Conversation.Status.WAITING, since, until

    def _wait(self, pause: tuple[float, float]) -> None:
        self.at += timedelta(seconds=self.rng.uniform(*pause))

    def _write(self, asked: Message, text: str, decision: str, *, trace: dict[str, Any]) -> Generation:
        """The reply, and how it came about: quoted at once, or written by the model after its queue."""
        created = self.at
        slow = decision == "compose"
        queued_s = self.rng.expovariate(1 / 0.6) if slow else 0.0
        first_s = queued_s + (self.rng.lognormvariate(0.6, 0.45) if slow else self.rng.uniform(0.05, 0.4))
        total_s = first_s + (self.rng.lognormvariate(1.0, 0.4) if slow else self.rng.uniform(0.01, 0.1))
        started = created + timedelta(seconds=self.rng.uniform(0.01, 0.06))
        self.at = started + timedelta(seconds=total_s)
        tokens = self.rng.randint(25, 80) if slow else 0
        if slow:
            trace |= {"queued_ms": round(queued_s * 1000, 1), "tokens_per_s": round(tokens / max(total_s - first_s, 0.5), 1)}
        reply = self._say("assistant", text, decision=decision, in_reply_to=asked, finished_at=self.at, created_at=created)
        generation = Generation(
            conversation=self.row, reply=reply, status=Generation.Status.DONE, fence=1, attempts=1, announced=True, text=text,
            decision=decision, finish_reason="stop", model_version=MODEL_VERSION if slow else "", created_at=created,
            started_at=started, finished_at=self.at, enqueued_at=created, ttft_ms=first_s * 1000, total_ms=total_s * 1000,
            completion_tokens=tokens, prompt_tokens=tokens * 18, trace=trace,
        )  # fmt: skip
        self.rows.generations.append(generation)
        return generation

    def _say(self, role: str, text: str, **fields: Any) -> Message:
        row = self.row
        row.last_seq += 1
        fields = {"created_at": self.at, "status": Message.Status.COMPLETE} | fields
        name = f"message {row.pk} {row.last_seq}"
        message = Message(id=uuid5(NAMESPACE, name), conversation=row, seq=row.last_seq, role=role, text=text, **fields)
        for key, value in said_fields(row, message, at=self.at).items():
            setattr(row, key, value)
        row.updated_at = self.at
        self.rows.messages.append(message)
        return message

    def _remember(self, kind: str, **fields: Any) -> None:
        self.rows.events.append(ConversationEvent(conversation=self.row, kind=kind, at=self.at, **fields))
        self.row.updated_at = self.at


def _words(decision: str, faq: Faq | None, *, locale: str) -> tuple[str, bool]:
    """What the bot says, and whether it rests on the FAQ."""
    if decision == "direct" and faq:
        return faq.answer, True
    if decision == "compose" and faq:
        stop = "。" if locale == "zh-hans" else ". "
        first = stop.join(faq.answer.split(stop)[:2]).rstrip(". 。")
        return f"{first}{'。' if locale == 'zh-hans' else '.'} [1]", True
    return phrase("clarify" if decision == "clarify" else "unknown", language=locale), False


def _trace(decision: str, confidence: float, near: list[Faq], locale: str) -> dict[str, Any]:
    scores = [round(max(0.05, confidence - 0.13 * place), 3) for place in range(len(near))]
    return {
        "decision": decision,
        "reason": _REASONS[decision],
        "language": locale,
        "confidence": round(confidence, 4),
        "ranked": [{"key": faq.key, "locale": faq.locale, "score": score} for faq, score in zip(near, scores, strict=True)],
        "search_ms": 21.0,
    }
