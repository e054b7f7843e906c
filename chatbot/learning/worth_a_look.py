"""Find the answers that are worth a look: rated down, thinly supported, refused, followed by a call for a person, and a sample.

Runs every minute in the general worker. Twice, or two at once, is harmless.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import redis
from django.db.models import Max, OuterRef, Q, Subquery
from django.utils import timezone

from chatbot import runtime
from chatbot.conversations.models import ConversationEvent, Generation, Message
from chatbot.learning.models import Feedback
from chatbot.learning.review_models import ReviewItem
from chatbot.telemetry import log_event

Reason = ReviewItem.Reason
WEIGHTS: dict[str, int] = {
    Reason.RATED_DOWN: 16,
    Reason.UNSUPPORTED: 8,
    Reason.HANDED_OFF: 6,
    Reason.LOW_SUPPORT: 5,
    Reason.REFUSED: 4,
    Reason.SAMPLE: 1,
}
# One answer in so many is looked at whatever it is like.
SAMPLE_ONE_IN = 40
# A composed answer whose sentences share less than this with the sources on average may say something else than they do.
LOW_SUPPORT_AT = 0.3
BATCH = 5000
# Answers end out of order; those that began a little before the last one seen are looked at once more.
_OVERLAP = 300
_LOOK_BACK = timedelta(hours=2)
_SEEN_KEY = "reviews:seen"
_ENDED = (Generation.Status.DONE, Generation.Status.STOPPED)


def gather() -> int:
    """Bring the list up to date; returns how many answers it has gained or that have a reason more."""
    found: dict[int, set[str]] = defaultdict(set)
    seen, newest = _seen(), 0
    for row in _ended_since(seen):
        newest = row["pk"]
        found[row["pk"]].update(reasons_of(row))
    since = timezone.now() - _LOOK_BACK
    for pk in _rated_down(since):
        found[pk].add(Reason.RATED_DOWN)
    for pk in _handed_off(since):
        found[pk].add(Reason.HANDED_OFF)
    changed = _store({pk: reasons for pk, reasons in found.items() if reasons})
    if newest:
        _remember(newest)
    if changed:
        log_event("reviews.gathered", answers=changed)
    return changed


def reasons_of(row: Mapping[str, Any]) -> Iterator[str]:
    """Why one answer is worth a look. row: pk, decision, trace."""
    trace: Mapping[str, Any] = row["trace"] or {}
    if trace.get("withheld"):
        yield Reason.UNSUPPORTED
    scores = [float(item.get("score") or 0.0) for item in trace.get("support") or ()]
    if row["decision"] == "compose" and scores and sum(scores) / len(scores) < LOW_SUPPORT_AT:
        yield Reason.LOW_SUPPORT
    if row["decision"] == "handoff" and trace.get("reason") != "asked":
        yield Reason.REFUSED
    if is_sampled(row["pk"]):
        yield Reason.SAMPLE


def is_sampled(generation_id: int) -> bool:
    """By a hash of the number (Knuth's multiplicative one), so that nobody chooses and every run chooses the same."""
    return (generation_id * 2654435761 % 2**32) < 2**32 // SAMPLE_ONE_IN


def weight_of(reasons: Iterable[str]) -> int:
    return sum(WEIGHTS.get(reason, 0) for reason in reasons)


def _ended_since(seen: int) -> Iterator[dict[str, Any]]:
    rows = Generation.objects.filter(pk__gt=seen - _OVERLAP, status__in=_ENDED).exclude(taken_over=True).order_by("pk")
    for pk, decision, trace in rows.values_list("pk", "decision", "trace")[:BATCH].iterator(chunk_size=500):
        yield {"pk": pk, "decision": decision, "trace": trace}


def _rated_down(since: datetime) -> Iterable[int]:
    return Feedback.objects.filter(rating=-1, updated_at__gte=since).values_list("generation_id", flat=True)


def _handed_off(since: datetime) -> Iterable[int]:
    """The last answer before each call for a person that was not the product's own doing."""
    before = (
        Generation.objects.filter(conversation=OuterRef("conversation"), finished_at__lt=OuterRef("at"), status__in=_ENDED)
        .exclude(Q(decision="handoff") | Q(text=""))
        .order_by("-pk")
    )
    asked = ConversationEvent.objects.filter(kind=ConversationEvent.Kind.ASKED, at__gte=since)
    return [pk for pk in asked.annotate(answer=Subquery(before.values("pk")[:1])).values_list("answer", flat=True) if pk]


def _store(found: Mapping[int, set[str]]) -> int:
    items = {item.generation_id: item for item in ReviewItem.objects.filter(generation__in=found)}
    changed = [item for pk, item in items.items() if not found[pk] <= set(item.reasons)]
    for item in changed:
        item.reasons = sorted({*item.reasons, *found[item.generation_id]})
        item.weight = weight_of(item.reasons)
    ReviewItem.objects.bulk_update(changed, ["reasons", "weight"], batch_size=500)
    fresh = Generation.objects.filter(pk__in=[pk for pk in found if pk not in items], status__in=_ENDED)
    made = [
        ReviewItem(
            generation_id=row["pk"],
            reasons=sorted(found[row["pk"]]),
            weight=weight_of(found[row["pk"]]),
            locale=row["trace__language"] or row["conversation__locale"],
            answered_at=row["finished_at"] or timezone.now(),
        )
        for row in fresh.order_by("pk").values("pk", "finished_at", "conversation__locale", "trace__language")
    ]
    ReviewItem.objects.bulk_create(made, ignore_conflicts=True, batch_size=500)
    return len(changed) + len(made)


def add_message(message_id: Any) -> ReviewItem | None:
    """Put a reply on the list because somebody opens it for review; None where it holds no finished answer."""
    generation = (
        Generation.objects.filter(reply_id=message_id, reply__role=Message.Role.ASSISTANT, status__in=_ENDED)
        .select_related("conversation")
        .order_by("-pk")
        .first()
    )
    if generation is None or generation.finished_at is None:
        return None
    item, _ = ReviewItem.objects.get_or_create(
        generation=generation,
        defaults={
            "answered_at": generation.finished_at,
            "locale": generation.trace.get("language") or generation.conversation.locale,
            "reasons": sorted(set(reasons_of({"pk": generation.pk, "decision": generation.decision, "trace": generation.trace}))),
        },
    )
    return item


def _seen() -> int:
    """How far answers have been looked at. Where Valkey has forgotten, the newest BATCH are looked at again."""
    try:
        kept = runtime.valkey().get(_SEEN_KEY)
    except redis.RedisError:
        kept = None
    if isinstance(kept, bytes):
        return int(kept)
    return max(0, (Generation.objects.aggregate(newest=Max("pk"))["newest"] or 0) - BATCH + _OVERLAP)


def _remember(newest: int) -> None:
    try:
        runtime.valkey().set(_SEEN_KEY, newest)
    except redis.RedisError:
        return  # The next run looks at the same ones again.
