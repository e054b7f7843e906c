"""Sum up a conversation for an agent who opens it: what was asked, in order, what answered it, what stayed open.

Extractive: every word is the customer's own or an FAQ's title. No model is asked, so nothing here can be made up, and it
costs nothing to show on every page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chatbot.answering.understanding import asks_for_person
from chatbot.protocol import Citation, MessageView

QUESTION_CHARS = 140
# A conversation that goes on and on: its last questions matter to whoever takes it over.
MAX_POINTS = 12

_SENTENCE_END = re.compile(r"(?<=[.?!])\s+|(?<=[。？！])|\n+")
_WHOLE_ANSWERS = ("direct", "compose")


class Outcome(StrEnum):
    ANSWERED = "answered"
    REFUSED_BY_CUSTOMER = "answered, but rated not helpful"
    ASKED_BACK = "asked which of several was meant"
    UNKNOWN = "nothing known; a person was offered"
    ASKED_FOR_PERSON = "asked for a person"
    FAILED = "no answer: something failed"
    STOPPED = "stopped by the customer"
    PENDING = "being answered"
    REPLIED = "replied"


_CLOSED = {Outcome.ANSWERED, Outcome.REPLIED}


@dataclass(frozen=True)
class Point:
    seq: int
    question: str
    outcome: Outcome
    sources: tuple[Citation, ...]
    is_open: bool


@dataclass(frozen=True)
class Summary:
    """The last MAX_POINTS questions; `left_out` counts the ones before them."""

    points: tuple[Point, ...]
    left_out: int

    @property
    def open_points(self) -> list[Point]:
        return [point for point in self.points if point.is_open]


def summarise(messages: Iterable[MessageView]) -> Summary:
    """messages: in order of seq. A question that was asked back about counts as settled by the next answer."""
    pairs = _questions_with_replies(messages)
    points: list[Point] = []
    settled_later = False
    for question, reply in reversed(pairs):
        outcome = _outcome(question.text, reply)
        is_open = outcome not in _CLOSED and not (outcome is Outcome.ASKED_BACK and settled_later)
        sources = tuple(reply.citations) if reply else ()
        points.append(Point(question.seq, first_words(question.text), outcome, sources, is_open))
        settled_later = outcome is Outcome.ANSWERED or (settled_later and outcome is Outcome.ASKED_BACK)
    points.reverse()
    return Summary(points=tuple(points[-MAX_POINTS:]), left_out=max(0, len(points) - MAX_POINTS))


def first_words(text: str) -> str:
    """The first sentence that asks something, else the first one, cut at a word."""
    sentences = [part.strip() for part in _SENTENCE_END.split(text) if part and part.strip()]
    chosen = next((part for part in sentences if part.endswith(("?", "？"))), sentences[0] if sentences else "")
    if len(chosen) <= QUESTION_CHARS:
        return chosen
    head = chosen[:QUESTION_CHARS]
    return (head.rsplit(" ", 1)[0] if " " in head else head).rstrip(",;: ") + "…"


def _questions_with_replies(messages: Iterable[MessageView]) -> Sequence[tuple[MessageView, MessageView | None]]:
    """Each of the customer's messages with the assistant's message that directly follows it."""
    pairs: list[tuple[MessageView, MessageView | None]] = []
    for message in messages:
        if message.role == "customer":
            pairs.append((message, None))
        elif message.role == "assistant" and pairs and pairs[-1][1] is None:
            pairs[-1] = (pairs[-1][0], message)
    return pairs


def _outcome(question: str, reply: MessageView | None) -> Outcome:
    if reply is None or reply.status == "pending":
        return Outcome.PENDING
    if reply.status == "failed":
        return Outcome.FAILED
    if reply.status == "stopped":
        return Outcome.STOPPED
    if reply.decision == "clarify":
        return Outcome.ASKED_BACK
    if reply.decision == "handoff":
        return Outcome.ASKED_FOR_PERSON if asks_for_person(question) else Outcome.UNKNOWN
    if reply.rating < 0:
        return Outcome.REFUSED_BY_CUSTOMER
    return Outcome.ANSWERED if reply.decision in _WHOLE_ANSWERS else Outcome.REPLIED
