"""Names for what the facts keep as ids and keys: people, teams, FAQs, passages, gaps. One query each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber

from chatbot.conversations.models import Message
from chatbot.documents.access import KEY_PREFIX
from chatbot.documents.models import Passage
from chatbot.insights.periods import Period
from chatbot.knowledge.models import Faq
from chatbot.quality.models import Gap, GapQuestion
from chatbot.staffing.models import Team


@dataclass(frozen=True)
class Source:
    """faq_id: None for a passage, and for a FAQ that is gone."""

    title: str
    faq_id: int | None = None


@dataclass(frozen=True)
class AskedInVain:
    gap_id: int
    message_id: UUID
    questions: int


def agent_names(ids: Collection[int]) -> dict[int, str]:
    return {user.pk: user.get_full_name() or user.get_username() for user in get_user_model().objects.filter(pk__in=ids)}


def team_names() -> dict[int, str]:
    return dict(Team.objects.values_list("pk", "name"))


def source_names(keys: Collection[str]) -> dict[str, Source]:
    """Of FAQs in English where there is one; keys of things that were deleted are absent."""
    faqs = Faq.objects.filter(key__in=keys).order_by(F("locale").desc()).values_list("key", "question", "pk", "locale")
    found = {key: Source(question, pk) for key, question, pk, _ in faqs}
    found |= {key: Source(question, pk) for key, question, pk, locale in faqs if locale == "en"}
    passages = {
        int(key.removeprefix(KEY_PREFIX)): key for key in keys if key.removeprefix(KEY_PREFIX).isdigit() and key not in found
    }
    if passages:
        for passage in Passage.objects.filter(pk__in=passages).select_related("document").defer("vectors", "text"):
            found[passages[passage.pk]] = Source(" · ".join(filter(None, (passage.document.name, passage.heading))))
    return found


def top_gaps(period: Period, *, most: int) -> list[AskedInVain]:
    """Open gaps by the questions asked in the period; message_id: the most typical question."""
    rows = (
        GapQuestion.objects.filter(gap__status=Gap.Status.OPEN, asked_at__gte=period.starts, asked_at__lt=period.ends)
        .order_by()
        .values("gap_id")
        .annotate(questions=Count("pk"))
        .order_by("-questions", "gap_id")[:most]
    )
    wanted = {row["gap_id"]: row["questions"] for row in rows}
    place = Window(RowNumber(), partition_by="gap_id", order_by=[F("nearness").desc(), F("pk").desc()])
    typical = dict(
        GapQuestion.objects.filter(gap__in=wanted)
        .annotate(place=place)
        .filter(place=1)
        .order_by()
        .values_list("gap_id", "message_id")
    )
    return [AskedInVain(gap, typical[gap], questions) for gap, questions in wanted.items() if gap in typical]


def message_texts(ids: Collection[UUID]) -> dict[UUID, str]:
    """What customers wrote; the caller has checked the right to read conversations."""
    return dict(Message.objects.filter(pk__in=ids).values_list("pk", "text"))
