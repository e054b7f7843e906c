"""How much each FAQ is used, counted from what was answered. No counters are kept, so none can be wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, IntegerField, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from chatbot.conversations.models import Citation
from chatbot.knowledge.models import Faq

WINDOW_DAYS = 90
# Rankings are read from the newest answers' traces; more of them would make a page wait.
LATEST_ANSWERS = 5_000

_FOUND = """
    WITH newest AS (
        SELECT trace FROM conversations_generation WHERE id > (SELECT coalesce(max(id), 0) - %s FROM conversations_generation)
    )
    SELECT ranked->>'key', ranked->>'locale', count(*)
    FROM newest, jsonb_path_query(newest.trace, '$.ranked[*]') ranked
    WHERE ranked->>'key' = ANY(%s)
    GROUP BY 1, 2
"""


@dataclass(frozen=True)
class FaqUsage:
    """Of the last WINDOW_DAYS days; found: times among the ranked FAQs of the LATEST_ANSWERS newest answers.

    used: answers that rest on it. up, down: thumbs for those answers. last_used: ever.
    """

    found: int = 0
    used: int = 0
    up: int = 0
    down: int = 0
    last_used: datetime | None = None


def usage_of(faqs: Collection[Faq]) -> dict[int, FaqUsage]:
    """The usage of each FAQ by its id: two grouped queries, however many FAQs."""
    found = _found({faq.key for faq in faqs})
    lately = Q(message__created_at__gte=_since())
    rated = {
        name: Count("message__feedback", filter=lately & Q(message__feedback__rating=rating), distinct=True)
        for name, rating in (("up", 1), ("down", -1))
    }
    rows = (
        Citation.objects.filter(faq__in=[faq.pk for faq in faqs])
        .order_by()
        .values("faq_id")
        .annotate(used=Count("message", filter=lately, distinct=True), last=Max("message__created_at"), **rated)
    )
    cited = {row["faq_id"]: row for row in rows}
    return {faq.pk: _usage(cited.get(faq.pk), found=found.get((faq.key, faq.locale), 0)) for faq in faqs}


def never_used(faqs: QuerySet[Faq]) -> QuerySet[Faq]:
    """Of these, the ones that no answer of the last WINDOW_DAYS days rests on."""
    return faqs.filter(~Exists(_citations()))


def most_used_first(faqs: QuerySet[Faq]) -> QuerySet[Faq]:
    used = _citations().order_by().values("faq").annotate(answers=Count("message", distinct=True)).values("answers")
    return faqs.annotate(used_answers=Coalesce(Subquery(used, output_field=IntegerField()), 0)).order_by("-used_answers", "-pk")


def _citations() -> QuerySet[Citation]:
    return Citation.objects.filter(faq=OuterRef("pk"), message__created_at__gte=_since())


def _since() -> datetime:
    return timezone.now() - timedelta(days=WINDOW_DAYS)


def _usage(row: Mapping[str, Any] | None, *, found: int) -> FaqUsage:
    if row is None:
        return FaqUsage(found=found)
    return FaqUsage(found=found, used=row["used"], up=row["up"], down=row["down"], last_used=row["last"])


def _found(keys: set[str]) -> dict[tuple[str, str], int]:
    with connection.cursor() as cursor:
        cursor.execute(_FOUND, [LATEST_ANSWERS, list(keys)])
        return {(key, locale): count for key, locale, count in cursor.fetchall()}
