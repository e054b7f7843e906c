"""Which FAQs to read next: alike in content, and what other customers were told in the same conversation.

Both come from what is there already: the vectors of the search, and what was answered lately.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from chatbot.answering.language import same_language
from chatbot.knowledge.access import answering_faqs
from chatbot.knowledge.models import Faq

WINDOW_DAYS = 90
RELATED = 4
# Anybody may open a help page, and the order is counted over the whole knowledge base: once in ten minutes a FAQ.
KEPT_S = 600
# One conversation says nothing.
MIN_TOGETHER = 2
# Of the newest answers that rest on this FAQ.
MAX_ANSWERS = 2_000
MAX_ALIKE = 20
# Ranks are added, not scores: cosines and counts have no common measure. Cormack et al., "Reciprocal Rank Fusion", 2009.
_FUSION = 10

# Each FAQ's place is the middle of its phrasings'; those that have no vectors yet are left out.
_ALIKE = """
    SELECT faq_id FROM knowledge_phrasing
    WHERE faq_id = ANY(%(others)s) AND embedder = (SELECT embedder FROM knowledge_phrasing ORDER BY id DESC LIMIT 1)
    GROUP BY faq_id, embedder ORDER BY avg(vector) <=> (
        SELECT avg(vector) FROM knowledge_phrasing WHERE faq_id = %(faq)s
            AND embedder = (SELECT embedder FROM knowledge_phrasing ORDER BY id DESC LIMIT 1)), faq_id
    LIMIT %(limit)s
"""
_TOGETHER = """
    WITH here AS (
        SELECT DISTINCT conversation_id FROM (
            SELECT message.conversation_id FROM conversations_citation AS citation
            JOIN conversations_message AS message ON message.id = citation.message_id
            WHERE citation.faq_id = %(faq)s AND message.created_at >= %(since)s AND message.created_at < %(until)s
            ORDER BY message.created_at DESC LIMIT %(answers)s) AS newest
    )
    SELECT citation.faq_id FROM here
    JOIN conversations_message AS message ON message.conversation_id = here.conversation_id
    JOIN conversations_citation AS citation ON citation.message_id = message.id
    WHERE citation.faq_id <> %(faq)s AND message.created_at < %(until)s
    GROUP BY 1 HAVING count(DISTINCT message.conversation_id) >= %(least)s
    ORDER BY count(DISTINCT message.conversation_id) DESC, 1
"""


def related(faq: Faq, *, limit: int = RELATED) -> list[Faq]:
    """What readers of this FAQ may want to read next, in its language, the likeliest first.

    Up to KEPT_S old, but nothing that has ceased to answer since.
    """
    order = cache.get_or_set(f"related:{faq.pk}", lambda: ranked(faq), KEPT_S) or []
    found = answering_faqs().in_bulk(order)
    return [found[faq_id] for faq_id in order if faq_id in found][:limit]


def ranked(faq: Faq) -> list[int]:
    """The related FAQs as of now, the likeliest first; a few more than a page shows, for some may be withdrawn meanwhile."""
    rows = answering_faqs().exclude(pk=faq.pk).values_list("pk", "locale")
    candidates = {faq_id for faq_id, locale in rows if same_language(locale, faq.locale)}
    chosen = fused([told_together(faq.pk), alike(faq.pk, others=candidates)])
    return [faq_id for faq_id in chosen if faq_id in candidates][:MAX_ALIKE]


def alike(faq_id: int, *, others: Collection[int]) -> list[int]:
    """Of the others, those nearest in content."""
    with connection.cursor() as cursor:
        cursor.execute(_ALIKE, {"faq": faq_id, "others": list(others), "limit": MAX_ALIKE})
        return [row[0] for row in cursor.fetchall()]


def told_together(faq_id: int, *, until: datetime | None = None) -> list[int]:
    """The FAQs that answered in the same conversations lately, the commonest first. until: as it was then."""
    until = until or timezone.now()
    since = until - timedelta(days=WINDOW_DAYS)
    with connection.cursor() as cursor:
        cursor.execute(_TOGETHER, {"faq": faq_id, "since": since, "until": until, "answers": MAX_ANSWERS, "least": MIN_TOGETHER})
        return [row[0] for row in cursor.fetchall()]


def fused(rankings: Sequence[Sequence[int]]) -> list[int]:
    """One ranking out of several; the first one decides between equals."""
    points: dict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, faq_id in enumerate(ranking):
            points[faq_id] += 1 / (_FUSION + rank)
    return sorted(points, key=lambda faq_id: -points[faq_id])
