"""From feedback to lines that a training script can read."""

from __future__ import annotations

from collections.abc import Iterator

from chatbot.conversations import transcripts
from chatbot.learning.models import Feedback
from chatbot.training.records import RatedCompletion, Turn


def rated_completions() -> Iterator[RatedCompletion]:
    """Every rated answer with the conversation that led to it, oldest first. Holds personal data."""
    rated = Feedback.objects.select_related("generation", "message__in_reply_to").order_by("pk")
    for feedback in rated.iterator(chunk_size=500):
        asked = feedback.message.in_reply_to
        if asked is None or not feedback.generation.text:
            continue
        before: list[Turn] = [Turn(role=turn.role, content=turn.text) for turn in transcripts.turns_before(asked)]
        yield RatedCompletion(
            prompt=[*before, Turn(role="user", content=asked.text)],
            completion=feedback.generation.text,
            label=feedback.rating > 0,
            reason=feedback.reason,
            model_version=feedback.generation.model_version,
            source=f"generation:{feedback.generation_id}",
        )
