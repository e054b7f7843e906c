"""Find what customers asked in vain, and put alike questions together in gaps. Runs daily in the general worker, and on demand.

The texts stay in the customers' messages: a gap knows their ids, so what a customer's deletion takes away is gone here too.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.db.models.fields.json import KT
from django.db.models.functions import Now

from chatbot.answering.language import detect
from chatbot.conversations.models import Generation, Message
from chatbot.documents.search import search_all
from chatbot.engine.embedder import Embedder
from chatbot.knowledge import retrieval
from chatbot.knowledge.models import FaqStatus, Phrasing
from chatbot.quality import clustering
from chatbot.quality.models import Gap, GapQuestion
from chatbot.telemetry import log_event

WINDOW = timedelta(days=30)
# Clustering grows with the square of it; the newest count.
MAX_QUESTIONS = 2000
_KNOWN_SAMPLE = 2000
_BATCH = 64
Kind = GapQuestion.Kind


@dataclass(frozen=True)
class Unanswered:
    message_id: UUID
    text: str
    locale: str
    kind: str
    asked_at: datetime


def gather(*, embedder: Embedder | None = None) -> int:
    """Bring the gaps up to date; returns how many questions are new. Twice, or two at once, is harmless.

    Questions that turned out to be answered (a thumb taken back) leave their gap; decided gaps stay and collect on.
    """
    started = time.monotonic()
    embedder = embedder or retrieval.current_index().embedder
    wanted = {found.message_id: found for found in unanswered()}
    with transaction.atomic():
        GapQuestion.objects.filter(asked_at__gte=Now() - WINDOW).exclude(message_id__in=list(wanted)).delete()
        Gap.objects.filter(questions__isnull=True, status=Gap.Status.OPEN).delete()
    seeds = dict(GapQuestion.objects.filter(message_id__in=list(wanted)).values_list("message_id", "gap_id"))
    found = sorted(wanted.values(), key=lambda one: one.asked_at, reverse=True)[:MAX_QUESTIONS]
    if found:
        vectors = _vectors(found, embedder)
        groups = clustering.group(vectors, seeds=[seeds.get(one.message_id) for one in found])
        for rows in groups:
            _store([found[row] for row in rows], clustering.nearness(vectors, rows), seeds=seeds)
    new = len([one for one in found if one.message_id not in seeds])
    log_event(
        "gaps.gathered",
        questions=len(found),
        new=new,
        gaps=Gap.objects.filter(status=Gap.Status.OPEN).count(),
        total_ms=(time.monotonic() - started) * 1000,
    )
    return new


def unanswered() -> list[Unanswered]:
    """The customer messages of the last WINDOW that got no answer, or not the one they needed; each once."""
    conversations: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in _messages():
        conversations[row["conversation_id"]].append(row)
    found: dict[UUID, Unanswered] = {}
    for rows in conversations.values():
        for one in _in_vain(rows):
            found.setdefault(one.message_id, one)
    return list(found.values())


def _messages() -> Iterator[dict[str, Any]]:
    """Customers' messages and the replies to them, in order, with why the reply was decided and how it was rated."""
    newest = Generation.objects.filter(reply=OuterRef("pk")).order_by("-pk")
    rows = (
        Message.objects.filter(created_at__gte=Now() - WINDOW, role__in=[Message.Role.CUSTOMER, Message.Role.ASSISTANT])
        .annotate(
            reason=Subquery(newest.values(reason=KT("trace__reason"))[:1]),
            rating=Subquery(newest.values("feedback__rating")[:1]),
        )
        .order_by("conversation_id", "seq")
    )
    fields = rows.values(
        *["pk", "conversation_id", "conversation__locale", "role", "status", "text", "decision", "choices"],
        *["in_reply_to_id", "created_at", "reason", "rating"],
    )
    yield from fields.iterator(chunk_size=1000)


def _in_vain(rows: Sequence[Mapping[str, Any]]) -> Iterator[Unanswered]:
    """Of one conversation."""
    said = [row for row in rows if row["role"] == Message.Role.CUSTOMER]
    place = {row["pk"]: number for number, row in enumerate(said)}
    for reply in rows:
        number = place.get(reply["in_reply_to_id"])
        if reply["role"] != Message.Role.ASSISTANT or number is None:
            continue
        if reply["reason"] == "asked":
            # "I want a person" tells nothing; what was asked before does.
            if number:
                yield _found(said[number - 1], Kind.HANDED_OFF)
            continue
        following = said[number + 1]["text"] if number + 1 < len(said) else ""
        kind = _kind_of(reply, following=following)
        if kind:
            yield _found(said[number], kind)


def _kind_of(reply: Mapping[str, Any], *, following: str) -> str:
    if reply["status"] == Message.Status.FAILED:
        return Kind.FAILED
    if reply["rating"] == -1:
        return Kind.DOWN_RATED
    if reply["decision"] == "handoff":
        return Kind.REFUSED
    if reply["decision"] == "clarify" and following.strip() not in reply["choices"]:
        return Kind.ASKED_BACK
    return ""


def _found(row: Mapping[str, Any], kind: str) -> Unanswered:
    return Unanswered(row["pk"], row["text"], row["conversation__locale"], kind, row["created_at"])


def _vectors(found: Sequence[Unanswered], embedder: Embedder) -> Any:
    texts = [one.text for one in found]
    vectors = np.concatenate([embedder.encode(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)])
    known = list(
        Phrasing.objects.filter(embedder=embedder.name, faq__status=FaqStatus.PUBLISHED)
        .order_by("pk")
        .values_list("faq__locale", "vector")[:_KNOWN_SAMPLE]
    )
    return clustering.centred(
        vectors,
        [_language(detect(one.text, fallback=one.locale)) for one in found],
        parts=embedder.parts,
        known=np.array([vector for _, vector in known], dtype=np.float32).reshape(len(known), embedder.dimensions),
        known_languages=[_language(locale) for locale, _ in known],
    )


def _language(locale: str) -> str:
    return locale.split("-")[0]


def _store(found: Sequence[Unanswered], nearness: Sequence[float], *, seeds: Mapping[UUID, int]) -> None:
    """Write one group: into the gap some of its questions belong to, or a new one."""
    gap_id = next((seeds[one.message_id] for one in found if one.message_id in seeds), None)
    central = found[max(range(len(found)), key=nearness.__getitem__)]
    ranking = search_all(central.text, locale=central.locale, limit=1)
    nearest = ranking.matches[0].key if ranking.matches else ""
    with transaction.atomic():
        gap = (gap_id is not None and Gap.objects.filter(pk=gap_id).first()) or Gap()
        gap.nearest_key, gap.nearest_confidence = nearest, ranking.confidence
        gap.save()
        GapQuestion.objects.bulk_create(
            [
                GapQuestion(gap=gap, message_id=o.message_id, kind=o.kind, locale=o.locale, asked_at=o.asked_at, nearness=near)
                for o, near in zip(found, nearness, strict=True)
            ],
            update_conflicts=True,
            unique_fields=["message"],
            update_fields=["kind", "nearness"],
        )
