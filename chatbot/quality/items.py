"""What a run goes through: the test questions, then the newest customer messages; and the rows that come of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.models import QuerySet

from chatbot.conversations import transcripts
from chatbot.conversations.models import Message
from chatbot.quality.asked import Asked
from chatbot.quality.models import QuestionResult, QuestionRun, TestQuestion
from chatbot.quality.outcomes import Outcome
from chatbot.quality.stopping import Stop

_MESSAGE_NUMBERS = 1_000_000_000


@dataclass(frozen=True)
class Item:
    number: int
    asked: Asked
    question_id: int | None = None
    message_id: uuid.UUID | None = None


def items_of(run: QuestionRun) -> Iterator[Item]:
    """What has no result yet."""
    done: set[tuple[int | None, uuid.UUID | None]] = set(run.results.values_list("question_id", "message_id"))
    for question in TestQuestion.objects.filter(created_at__lte=run.created_at).order_by("pk"):
        if (question.pk, None) not in done:
            yield Item(question.pk, question.asked(), question_id=question.pk)
    newest = customer_messages().filter(created_at__lte=run.created_at)[: run.messages]
    for place, message in enumerate(newest):
        if (None, message.pk) not in done:
            yield Item(_MESSAGE_NUMBERS + place, _asked_by(message), message_id=message.pk)


def customer_messages() -> QuerySet[Message]:
    said = Message.objects.filter(role=Message.Role.CUSTOMER).exclude(text="").select_related("conversation")
    return said.order_by("-created_at", "-pk")


def asked_in(row: QuestionResult) -> Asked | None:
    """The question behind a result; None when it was removed since."""
    if row.question is not None:
        return row.question.asked()
    return _asked_by(row.message) if row.message is not None else None


def _asked_by(message: Message) -> Asked:
    history = transcripts.turns_before(message)
    return Asked(text=message.text, locale=message.conversation.locale, history=history, judged=False)


def row_of(run: QuestionRun, item: Item, outcome: Outcome) -> QuestionResult:
    """The unsaved result of one question."""
    row = QuestionResult(
        run=run,
        number=item.number,
        question_id=item.question_id,
        message_id=item.message_id,
        expected=item.asked.expected or "",
    )
    put_outcome(row, outcome)
    return row


def put_outcome(row: QuestionResult, outcome: Outcome) -> None:
    row.decision, row.verdict, row.keys = outcome.decision, outcome.verdict, list(outcome.keys)
    row.confidence, row.answer = outcome.confidence, outcome.answer
    row.ttft_s, row.total_s = outcome.ttft_s, outcome.total_s


def store(results: Iterable[QuestionResult | None], *, stop: Stop) -> None:
    """Keep each result as it comes, until the run is to stop. Rows that are there already get their new values."""
    for result in results:
        if result is not None and result.pk:
            result.save()
        elif result is not None:
            QuestionResult.objects.bulk_create([result], ignore_conflicts=True)
        stop.look()
        if stop.now():
            return
