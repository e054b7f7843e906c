"""The better answers that reviewers wrote. What becomes of them outside this room is chatbot/assist/correcting.py's business."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from chatbot.answering.prompting import Turn
from chatbot.conversations import transcripts
from chatbot.errors import Conflict, InvalidInput
from chatbot.learning.review_models import Correction, ReviewItem

MAX_BETTER_CHARS = 10_000


@dataclass(frozen=True)
class Proposed:
    """A correction ticked as a training example. turns: what was said before the customer's question."""

    correction: Correction
    turns: tuple[Turn, ...]
    question: str


def store(item: ReviewItem, *, author_id: int, shown: str, better: str, example: bool) -> Correction:
    """Keep the better answer; the caller holds the item's lock. Raises InvalidInput, and Conflict where somebody was quicker."""
    better = better.replace("\x00", "").strip()
    if not better:
        raise InvalidInput("Write the better answer.", field="better")
    if len(better) > MAX_BETTER_CHARS:
        raise InvalidInput(f"An answer has at most {MAX_BETTER_CHARS:,} characters.", field="better")
    try:
        with transaction.atomic():
            return Correction.objects.create(item=item, author_id=author_id, shown=shown, better=better, example=example)
    except IntegrityError as error:
        raise Conflict("Somebody has corrected this answer meanwhile. Nothing of yours was saved.", code="corrected") from error


def proposed() -> Iterator[Proposed]:
    """The corrections that shall become training examples, oldest first. Holds customers' words."""
    rows = Correction.objects.filter(example=True).select_related("item__generation__reply__in_reply_to").order_by("pk")
    for correction in rows.iterator(chunk_size=200):
        asked = correction.item.generation.reply.in_reply_to
        if asked is not None:
            yield Proposed(correction, transcripts.turns_before(asked), asked.text)
