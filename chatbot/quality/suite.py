"""Keep the test questions: add, change, remove, bring in from a file, give out as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction

from chatbot.conversations import transcripts
from chatbot.conversations.models import Message
from chatbot.errors import Conflict, InvalidInput, NotFound
from chatbot.knowledge.models import Faq, FaqStatus
from chatbot.quality.asked import Asked, asked_of, read_asked, turns_as_json, write_asked
from chatbot.quality.models import TestQuestion

Author = AbstractBaseUser | None
MAX_QUESTIONS = 5000


@dataclass(frozen=True)
class Imported:
    """unknown_keys: expected keys that no published FAQ has; such questions count as wrong."""

    created: int
    changed: int
    unchanged: int
    unknown_keys: tuple[str, ...]


def access_question(question_id: int) -> TestQuestion:
    """The caller has checked the right. Raises NotFound."""
    found = TestQuestion.objects.filter(pk=question_id).first()
    if found is None:
        raise NotFound("This test question does not exist.", code="question_not_found")
    return found


def add_question(asked: Asked, *, author: Author, note: str = "", source_id: UUID | None = None) -> TestQuestion:
    """Raises Conflict when the same is asked already, InvalidInput for a question that cannot be."""
    checked = _checked(asked)
    question = TestQuestion(note=note.strip()[:300], source_id=source_id, created_by_id=author.pk if author else None)
    _put(question, checked)
    try:
        with transaction.atomic():
            question.save()
    except IntegrityError as error:
        raise Conflict("This question is among the test questions already.", code="question_exists", field="text") from error
    return question


def edit_question(question_id: int, *, asked: Asked, note: str) -> TestQuestion:
    """Raises NotFound, Conflict, InvalidInput."""
    question = access_question(question_id)
    _put(question, _checked(asked))
    question.note = note.strip()[:300]
    try:
        with transaction.atomic():
            question.save()
    except IntegrityError as error:
        raise Conflict("Another test question asks this already.", code="question_exists", field="text") from error
    return question


def remove_question(question_id: int) -> None:
    access_question(question_id).delete()


def question_of_message(message_id: UUID) -> Asked:
    """A customer's message, or the one that a reply answers, with what was said before it. Raises NotFound."""
    message = Message.objects.select_related("conversation", "in_reply_to").filter(pk=message_id).first()
    message = message.in_reply_to if message and message.role == Message.Role.ASSISTANT else message
    if message is None or message.role != Message.Role.CUSTOMER:
        raise NotFound("This message does not exist.", code="message_not_found")
    locale = Message.objects.filter(pk=message.pk).values_list("conversation__locale", flat=True)[0]
    return Asked(text=message.text, locale=locale, history=transcripts.turns_before(message), judged=False)


@transaction.atomic
def import_questions(data: bytes, *, author: Author, note: str = "") -> Imported:
    """Add a file's questions; one that is asked already gets the file's expectation. All or nothing: raises InvalidInput."""
    lines = read_asked(data)
    if len(lines) + TestQuestion.objects.count() > MAX_QUESTIONS:
        raise InvalidInput(f"There can be at most {MAX_QUESTIONS:,} test questions.")
    known = {row.identity: row for row in TestQuestion.objects.all()}
    created: dict[str, TestQuestion] = {}
    changed: list[TestQuestion] = []
    for asked in lines:
        row = known.get(asked.identity)
        if row is None:
            fresh = TestQuestion(note=note[:300], created_by_id=author.pk if author else None)
            _put(fresh, asked)
            created[asked.identity] = fresh
        elif asked.judged and row.expected != (asked.expected or ""):
            row.expected = asked.expected or ""
            changed.append(row)
    # The newest stands first in lists; a file's first line is to stand there.
    TestQuestion.objects.bulk_create(reversed(created.values()))
    TestQuestion.objects.bulk_update(changed, ["expected"], batch_size=500)
    unknown = sorted({asked.expected for asked in lines if asked.expected} - published_keys())
    return Imported(len(created), len(changed), len(lines) - len(created) - len(changed), tuple(unknown))


def export_questions() -> str:
    return write_asked(question.asked() for question in TestQuestion.objects.all())


def published_keys() -> set[str]:
    return set(Faq.objects.filter(status=FaqStatus.PUBLISHED).values_list("key", flat=True))


def known_keys() -> Sequence[str]:
    """Every FAQ's key, drafts included, for a field that suggests them."""
    return sorted(set(Faq.objects.order_by().values_list("key", flat=True).distinct()))


def _checked(asked: Asked) -> Asked:
    try:
        clean = asked_of(asked.as_line() | {"text": asked.text})
    except ValueError as error:
        raise InvalidInput(f"The question cannot be kept: {error}.", code="question_invalid", field="text") from error
    if clean.expected and not Faq.objects.filter(key=clean.expected).exists():
        raise InvalidInput("There is no FAQ with this key.", code="question_invalid", field="expected")
    return replace(clean, judged=True)


def _put(question: TestQuestion, asked: Asked) -> None:
    question.text, question.locale, question.expected = asked.text, asked.locale, asked.expected or ""
    question.history, question.identity = turns_as_json(asked.history), asked.identity
