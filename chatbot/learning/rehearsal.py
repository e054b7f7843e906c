"""A month of feedback, invented from the published FAQs: for the demo, and to try the whole loop before real feedback is there.

Customers ask in the FAQs' own phrasings, some with typing errors. To one in four the search brings only FAQs about something
similar: there the right answer is that nobody knows (from two in five the model learnt to refuse what it could answer).
Reviewers correct what the assistant wrote into the house's style (one or two sentences in the FAQ's own words), and like all
people they err: a share of corrections and of thumbs is wrong, and says so nowhere.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from chatbot import runtime
from chatbot.answering.sentences import sentences
from chatbot.answering.support import grams_of
from chatbot.company import Company
from chatbot.conversations.models import Conversation, Customer, Generation, Message
from chatbot.knowledge.access import answering_faqs
from chatbot.knowledge.models import Faq
from chatbot.learning import shaping
from chatbot.learning.models import Correction, Feedback, ReviewItem

DAYS = 30
UNKNOWN_SHARE = 0.25
WRONG_CORRECTIONS = 0.05
FLIPPED_THUMBS = 0.08
TYPING_ERRORS = 0.25
THUMBS_SHARE = 0.6
NAMESPACE = uuid.UUID("6c1f1a52-54c5-4cf5-9e4f-6f1c6e0f7f10")


@dataclass(frozen=True)
class Scene:
    """One invented conversation. right: what the reviewer writes; shown: the FAQs the search brought, best first."""

    number: int
    question: str
    locale: str
    shown: tuple[Faq, ...]
    said: str
    right: str
    thumb: int
    at: datetime


def rehearse(*, conversations: int, seed: int = 5, author_id: int | None = None) -> int:
    """Write the month into the database; what is there of it already stays as it is. Returns how many conversations are new."""
    company = runtime.company()
    scenes = list(scenes_of(list(answering_faqs().order_by("pk")), company=company, count=conversations, seed=seed))
    ids = {scene.number: uuid.uuid5(NAMESPACE, f"{seed}:{scene.number}") for scene in scenes}
    there = set(Conversation.objects.filter(pk__in=ids.values()).values_list("pk", flat=True))
    new = [scene for scene in scenes if ids[scene.number] not in there]
    with transaction.atomic():
        for scene in new:
            _write(scene, ids[scene.number], author_id=author_id)
    return len(new)


def scenes_of(faqs: Sequence[Faq], *, company: Company, count: int, seed: int) -> Iterator[Scene]:
    """The same scenes for the same FAQs and seed."""
    rng = random.Random(seed)
    grams = {faq.pk: grams_of(f"{faq.question} {faq.answer}") for faq in faqs}
    wordings = [(faq, wording) for faq in faqs for wording in faq.all_phrasings()]
    rng.shuffle(wordings)
    now = timezone.now()
    for number, (faq, wording) in enumerate(wordings[:count]):
        near = _nearest(faq, wording, faqs, grams)
        unknown = rng.random() < UNKNOWN_SHARE and bool(near)
        shown = tuple(near[:2]) if unknown else (faq, *near[: rng.choice([0, 0, 1])])
        right = company.text("unknown", locale=faq.locale) if unknown else shaping.short_answer(wording, faq.answer)
        said = _said(shown[0])
        if rng.random() < WRONG_CORRECTIONS:
            right = shaping.short_answer(wording, near[0].answer) if near and not unknown else _said(shown[0])
        thumb = rng.choice([-1, -1, -1, 1]) if unknown else rng.choice([1, 1, 1, -1])
        thumb = 0 if rng.random() > THUMBS_SHARE else -thumb if rng.random() < FLIPPED_THUMBS else thumb
        question = _mistyped(wording, rng) if rng.random() < TYPING_ERRORS else wording
        at = now - timedelta(minutes=rng.randrange(30, DAYS * 24 * 60))
        if right:
            yield Scene(number, question, faq.locale, shown, said, right, thumb, at)


def _nearest(faq: Faq, wording: str, faqs: Sequence[Faq], grams: dict[int, frozenset[str]]) -> list[Faq]:
    """The other FAQs of the language that share most with a question: what a search without the right one brings."""
    asked = grams_of(f"{wording} {faq.question}")
    others = [other for other in faqs if other.locale == faq.locale and other.key != faq.key]
    score = {other.pk: len(asked & grams[other.pk]) + 2.0 * (other.category == faq.category) for other in others}
    return sorted(others, key=lambda other: (-score[other.pk], other.pk))[:3]


def _said(faq: Faq) -> str:
    """What an untrained assistant says: the first sentences of what it was shown, whatever was asked."""
    return "".join(sentences(faq.answer)[:3]).strip()


def _mistyped(text: str, rng: random.Random) -> str:
    if len(text) < 8 or not text.isascii():
        return text
    at = rng.randrange(1, len(text) - 2)
    kind = rng.randrange(3)
    if kind == 0:
        return (text[:at] + text[at + 1] + text[at] + text[at + 2 :]).lower()
    return text[:at] + text[at + 1 :] if kind == 1 else text.lower().rstrip("?.")


def _write(scene: Scene, conversation_id: uuid.UUID, *, author_id: int | None) -> None:
    customer = Customer.objects.create(locale=scene.locale)
    conversation = Conversation.objects.create(
        id=conversation_id, customer=customer, locale=scene.locale, title=scene.question[:100], last_seq=2
    )
    asked = Message.objects.create(
        conversation=conversation, seq=1, role=Message.Role.CUSTOMER, text=scene.question, client_message_id=uuid.uuid4()
    )
    reply = Message.objects.create(
        conversation=conversation,
        seq=2,
        role=Message.Role.ASSISTANT,
        text=scene.said,
        in_reply_to=asked,
        decision="compose",
        finished_at=scene.at,
    )
    generation = Generation.objects.create(
        conversation=conversation,
        reply=reply,
        status=Generation.Status.DONE,
        text=scene.said,
        decision="compose",
        finish_reason="stop",
        finished_at=scene.at,
        announced=True,
        trace=_trace(scene),
    )
    Message.objects.filter(conversation=conversation).update(created_at=scene.at)
    Conversation.objects.filter(pk=conversation_id).update(created_at=scene.at, updated_at=scene.at)
    item = ReviewItem.objects.create(
        generation=generation, reasons=[ReviewItem.Reason.SAMPLE], locale=scene.locale, given=1, answered_at=scene.at
    )
    Correction.objects.create(item=item, author_id=author_id, shown=scene.said, better=scene.right, example=True)
    if scene.thumb:
        Feedback.objects.create(generation=generation, message=reply, rating=scene.thumb)


def _trace(scene: Scene) -> dict[str, Any]:
    ranked = [{"key": faq.key, "locale": faq.locale, "score": round(1.0 - 0.1 * rank, 2)} for rank, faq in enumerate(scene.shown)]
    return {"language": scene.locale, "ranked": ranked, "decision": "compose", "reason": "rehearsal"}
