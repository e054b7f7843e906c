"""Gather what may be learnt: thumbs, corrections, agents' drafts, reviewed answers, published FAQs. Proposals only.

Every sweep may run any number of times: `origin` says what an example was made of, and it is made once. Personal data is taken
out before anything is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from django.utils import timezone

from chatbot import runtime
from chatbot.answering.grounding import NO_ANSWER
from chatbot.answering.prompting import MAX_PASSAGES, Turn
from chatbot.answering.support import letters_of
from chatbot.conversations import transcripts
from chatbot.conversations.models import Generation
from chatbot.knowledge.access import answering_faqs, published_faqs
from chatbot.knowledge.models import Faq
from chatbot.knowledge.passages import best_locale
from chatbot.learning import corrections, sent_drafts, shaping
from chatbot.learning.models import AnswerReview, ConsentWithdrawal, Example, Feedback
from chatbot.learning.redaction import REDACTION_VERSION, redact
from chatbot.learning.shaping import Asked, ShownPassage

# As in the pipeline: entries that score less than this share of the first were not shown to the model.
CLOSE_SHARE = 0.7
PHRASINGS_A_FAQ = 3
_BATCH = 200


@dataclass(frozen=True)
class Gathered:
    proposed: int
    merged: int
    passed_over: int


def gather() -> Gathered:
    """Propose everything new. An answer without passages, or without a question, teaches nothing and is passed over."""
    redact_again()
    known = set(Example.objects.values_list("origin", flat=True))
    withdrawn = set(ConsentWithdrawal.objects.values_list("customer_id", flat=True))
    made, passed_over = [], 0
    for source in (_from_corrections, sent_drafts.proposed, _from_reviews, _from_thumbs, _from_faqs):
        for origin, example in source(known):
            if example is None:
                passed_over += 1
            else:
                if example.customer_id in withdrawn:
                    example.consent = Example.Consent.WITHHELD
                made.append(replace_words(example, origin=origin))
    with transaction.atomic():
        Example.objects.bulk_create(made, batch_size=_BATCH, ignore_conflicts=True)
        merged = merge_same()
    return Gathered(proposed=len(made), merged=merged, passed_over=passed_over)


def replace_words(example: Example, *, origin: str) -> Example:
    """Take personal data out of an example, which the caller saves; what the passages say themselves stays."""
    asked = shaping.asked_of(example.asked)
    published = " ".join(f"{p.question} {p.answer}" for p in asked.passages)
    counts: dict[str, int] = {}

    def clean(text: str) -> str:
        redacted = redact(text, published=published)
        for kind, count in redacted.counts.items():
            counts[kind] = counts.get(kind, 0) + count
        return redacted.text

    history = tuple(Turn(role=turn.role, text=clean(turn.text)) for turn in asked.history)
    asked = replace(asked, question=clean(asked.question), history=history)
    example.origin = origin
    example.asked = asked.as_json()
    example.chosen, example.rejected = clean(example.chosen), clean(example.rejected) if example.rejected else ""
    example.redactions, example.redaction_version = counts, REDACTION_VERSION
    example.fingerprint = shaping.fingerprint(asked.question, example.kind, example.chosen, example.rejected)
    example.flags = sorted(_first_flags(example, asked))
    return example


def redact_again() -> int:
    """Pass what older rules let through by the newest ones; a dataset takes no other. What was decided of an example stays."""
    old = list(Example.objects.exclude(status=Example.Status.REJECTED).filter(redaction_version__lt=REDACTION_VERSION))
    for example in old:
        taken, flags = example.redactions, example.flags
        replace_words(example, origin=example.origin)
        example.redactions = dict(Counter(taken) + Counter(example.redactions))
        example.flags = sorted({*flags, *example.flags})
    fields = ["asked", "chosen", "rejected", "redactions", "redaction_version", "fingerprint", "flags"]
    Example.objects.bulk_update(old, fields, batch_size=_BATCH)
    return len(old)


def _first_flags(example: Example, asked: Asked) -> Iterator[str]:
    """What one example shows by itself: an answer the checks would withhold, an answer that stands in its question."""
    if example.kind != Example.Kind.RATED and not example.is_refusal:
        composed = shaping.checked(example.chosen, asked, company=runtime.company())
        if composed.outcome != "written" or composed.withheld:
            yield "not_grounded"
    letters = letters_of(example.chosen)
    if len(letters) > 20 and letters in letters_of(asked.question):
        yield "answer_in_question"


def merge_same() -> int:
    """Let the first of equal proposals stand for all. Returns how many were merged now."""
    first: dict[str, int] = {}
    merged = []
    rows = Example.objects.exclude(status=Example.Status.MERGED).exclude(status=Example.Status.REJECTED).order_by("pk")
    for pk, fingerprint, status in rows.values_list("pk", "fingerprint", "status"):
        if fingerprint in first and status == Example.Status.PROPOSED:
            merged.append(Example(pk=pk, status=Example.Status.MERGED, merged_into_id=first[fingerprint]))
        else:
            first.setdefault(fingerprint, pk)
    Example.objects.bulk_update(merged, ["status", "merged_into"], batch_size=_BATCH)
    return len(merged)


def _from_corrections(known: set[str]) -> Iterator[tuple[str, Example | None]]:
    for proposed in corrections.proposed():
        origin = f"correction:{proposed.correction.pk}"
        if origin in known:
            continue
        generation = proposed.correction.item.generation
        asked = asked_at(generation, question=proposed.question, history=proposed.turns)
        yield origin, _pair(asked, generation, chosen=proposed.correction.better, by=proposed.correction.author_id)


def _pair(asked: Asked | None, generation: Generation, *, chosen: str, by: int | None) -> Example | None:
    if asked is None or not asked.passages:
        return None
    company = runtime.company()
    better = shaping.as_completion(chosen, asked, company=company)
    worse = shaping.as_completion(generation.text, asked, company=company) if generation.text else ""
    kind = Example.Kind.PAIR if worse and worse != better else Example.Kind.ANSWER
    return _of(
        generation,
        asked,
        kind=kind,
        source=Example.Source.CORRECTION,
        chosen=better,
        rejected=worse if kind == Example.Kind.PAIR else "",
        proposed_by_id=by,
    )


def _from_reviews(known: set[str]) -> Iterator[tuple[str, Example | None]]:
    right = AnswerReview.objects.filter(verdict=AnswerReview.Verdict.RIGHT, item__correction__isnull=True)
    for review in right.select_related("item__generation__reply__in_reply_to", "item__generation__conversation").order_by("pk"):
        origin = f"review:{review.item_id}"
        if origin in known:
            continue
        known.add(origin)
        generation = review.item.generation
        asked = asked_at(generation)
        if asked is None or not asked.passages or not generation.text:
            yield origin, None
            continue
        words = shaping.as_completion(generation.text, asked, company=runtime.company())
        if generation.decision in ("handoff", "clarify"):
            words = NO_ANSWER
        source, kind = Example.Source.REVIEWED, Example.Kind.ANSWER
        yield origin, _of(generation, asked, kind=kind, source=source, chosen=words, proposed_by_id=review.reviewer_id)


def _from_thumbs(known: set[str]) -> Iterator[tuple[str, Example | None]]:
    rows = Feedback.objects.select_related("generation__reply__in_reply_to", "generation__conversation").order_by("pk")
    for feedback in rows.iterator(chunk_size=_BATCH):
        origin = f"feedback:{feedback.pk}"
        if origin in known:
            continue
        generation = feedback.generation
        asked = asked_at(generation)
        if asked is None or not asked.passages or not generation.text:
            yield origin, None
            continue
        chosen = shaping.as_completion(generation.text, asked, company=runtime.company())
        example = _of(generation, asked, kind=Example.Kind.RATED, source=Example.Source.THUMB, chosen=chosen)
        example.label = feedback.rating > 0
        yield origin, example


def _from_faqs(known: set[str]) -> Iterator[tuple[str, Example | None]]:
    for faq in answering_faqs().order_by("pk"):
        for number, wording in enumerate(faq.all_phrasings()[:PHRASINGS_A_FAQ]):
            origin = f"faq:{faq.pk}:{faq.revision}:{number}"
            if origin not in known:
                yield origin, _of_faq(faq, wording)


def _of_faq(faq: Faq, wording: str) -> Example | None:
    shown = ShownPassage(key=faq.key, locale=faq.locale, question=faq.question, answer=faq.answer, revision=faq.revision)
    asked = Asked(question=wording, language=faq.locale, passages=(shown,))
    words = shaping.short_answer(wording, faq.answer)
    if not words:
        return None
    return Example(
        kind=Example.Kind.ANSWER,
        source=Example.Source.FAQ,
        consent=Example.Consent.NOT_NEEDED,
        locale=faq.locale,
        topic=faq.category,
        asked=asked.as_json(),
        chosen=shaping.as_completion(words, asked, company=runtime.company()),
        group=f"faq:{faq.key}",
        faq=faq,
        faq_revision=faq.revision,
        happened_at=faq.updated_at,
    )


def asked_at(generation: Generation, *, question: str | None = None, history: Iterable[Turn] | None = None) -> Asked | None:
    """What stood before the model when it answered: the question, what was said before, and the FAQs the search had found."""
    asked = generation.reply.in_reply_to
    if asked is None:
        return None
    trace: dict[str, Any] = generation.trace or {}
    return Asked(
        question=question if question is not None else asked.text,
        language=str(trace.get("language") or generation.conversation.locale),
        passages=tuple(_passages(trace.get("ranked") or [])),
        history=tuple(history) if history is not None else transcripts.turns_before(asked),
    )


def _passages(ranked: list[dict[str, Any]]) -> Iterator[ShownPassage]:
    close = [row for row in ranked if row["score"] >= CLOSE_SHARE * ranked[0]["score"]][:MAX_PASSAGES]
    variants: dict[str, dict[str, Faq]] = {}
    for faq in published_faqs(row["key"] for row in close):
        variants.setdefault(faq.key, {})[faq.locale] = faq
    for row in close:
        if row["key"] in variants:
            own = variants[row["key"]]
            faq = own[best_locale(list(own), wanted=row["locale"])]
            yield ShownPassage(key=faq.key, locale=faq.locale, question=faq.question, answer=faq.answer, revision=faq.revision)


def _of(generation: Generation, asked: Asked, **fields: Any) -> Example:
    first = asked.passages[0]
    topic = Faq.objects.filter(key=first.key, locale=first.locale).values_list("category", flat=True).first()
    return Example(
        locale=asked.language,
        topic=topic or "",
        is_refusal=fields["chosen"] == NO_ANSWER,
        asked=asked.as_json(),
        group=f"conversation:{generation.conversation_id}",
        model_version=generation.model_version,
        conversation_id=generation.conversation_id,
        customer_id=generation.conversation.customer_id,
        message_id=generation.reply_id,
        happened_at=generation.finished_at or timezone.now(),
        **fields,
    )


def person_of(example: Example) -> str:
    """Whose words they are; empty for the company's own."""
    return str(example.customer_id or "")
