"""Let the version in the shadow answer what the live one has answered, unseen, so that both can be compared on real questions."""

from __future__ import annotations

import time

from chatbot import runtime
from chatbot.answering import pipeline
from chatbot.answering.answers import Answer, Question
from chatbot.conversations import transcripts
from chatbot.conversations.models import Generation
from chatbot.documents.search import search_all
from chatbot.releases.models import ModelVersion, ShadowAnswer
from chatbot.telemetry import log_event

# Customers come first: in the shadow is answered only while so many slots are free.
FREE_SLOTS = 2
DEADLINE_S = 120.0
LOOK_BACK = 20


def waiting() -> list[int]:
    """The newest model-written answers that the version in the shadow has not answered yet."""
    version = ModelVersion.objects.filter(stage=ModelVersion.Stage.SHADOW).first()
    if version is None:
        return []
    newest = Generation.objects.filter(status=Generation.Status.DONE, decision="compose").order_by("-pk")[:LOOK_BACK]
    ids = [generation.pk for generation in newest]
    known = set(ShadowAnswer.objects.filter(generation_id__in=ids).values_list("generation_id", flat=True))
    return [pk for pk in ids if pk not in known]


def answer_unseen(generation_id: int) -> bool:
    """Write one shadow answer if there is room; tells whether it was written."""
    version = ModelVersion.objects.filter(stage=ModelVersion.Stage.SHADOW).first()
    generation = Generation.objects.select_related("conversation", "reply__in_reply_to").filter(pk=generation_id).first()
    asked = generation.reply.in_reply_to if generation else None
    engine = runtime.engine()
    stats = engine.stats()
    room = stats.slots - stats.running - stats.waiting >= FREE_SLOTS
    if version is None or generation is None or asked is None or not room or version.name not in engine.versions:
        return False
    question = Question(
        text=asked.text,
        locale=generation.conversation.locale,
        history=transcripts.turns_before(asked),
        company=runtime.company(),
        deadline_s=DEADLINE_S,
        version=version.name,
    )
    begun = time.monotonic()
    steps = pipeline.answer(question, search=search_all, engine=engine, should_stop=runtime.stopping.is_set)
    answer = [step for step in steps if isinstance(step, Answer)][-1]
    total_ms = (time.monotonic() - begun) * 1000
    _, made = ShadowAnswer.objects.get_or_create(
        generation_id=generation_id,
        defaults={"version": version, "text": answer.text, "decision": answer.decision, "total_ms": total_ms},
    )
    log_event("shadow.answered", version=version.name, generation=generation_id, decision=answer.decision, total_ms=total_ms)
    return made
