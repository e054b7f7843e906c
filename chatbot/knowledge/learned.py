"""Questions of customers that reviewed examples say a FAQ answers: more phrasings, which come and go with a model version.

Each version keeps its own; the index takes those of the version that is live (indexing.py), so that a promotion brings them and
a rollback takes them away. Who chooses them, and by what measure, is chatbot.quality.light_parts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from django.db import transaction
from django.db.models import QuerySet

from chatbot.engine.embedder import Embedder, Vectors
from chatbot.knowledge.access import answering_faqs
from chatbot.knowledge.models import Faq, KnowledgeIndex, LearnedPhrasing, Phrasing
from chatbot.knowledge.passages import text_hash
from chatbot.releases import versions

# What KnowledgeIndex.learned_of says when the index must be refreshed, whichever version is live. No version has such a name.
STALE = "?"


@dataclass(frozen=True)
class New:
    """One phrasing to learn. origin: the hash of the dataset's line that it stands in, by which it is found and erased."""

    faq_id: int
    text: str
    origin: str


@dataclass(frozen=True)
class Rows:
    """The phrasings of a knowledge base, one row each: keys, texts and categories (N,), vectors (N, D)."""

    keys: tuple[str, ...]
    texts: tuple[str, ...]
    categories: tuple[str, ...]
    vectors: Vectors


def keep(version_id: int, phrasings: Sequence[New]) -> None:
    """Let a version have these, and no others."""
    with transaction.atomic():
        LearnedPhrasing.objects.filter(version_id=version_id).delete()
        rows = [LearnedPhrasing(version_id=version_id, faq_id=one.faq_id, text=one.text, origin=one.origin) for one in phrasings]
        LearnedPhrasing.objects.bulk_create(rows, ignore_conflicts=True)


def forget(origins: Collection[str]) -> int:
    """Take away what came of these lines; the index follows within seconds. Returns how many there were."""
    with transaction.atomic():
        gone, _ = LearnedPhrasing.objects.filter(origin__in=origins).delete()
        if gone:
            KnowledgeIndex.objects.update(learned_of=STALE)
    return gone


def of_live() -> QuerySet[LearnedPhrasing]:
    """What the live version brings; merged weights bring what their adapter does."""
    live = versions.live_version()
    names = [live.name, live.merged_from] if live else []
    return LearnedPhrasing.objects.filter(version__name__in=names, faq__in=answering_faqs())


def brought_by() -> str:
    """The live version, if it brings any; what the index was made with stands in KnowledgeIndex.learned_of."""
    first = of_live().select_related("version").first()
    return first.version.name if first else ""


def turned() -> bool:
    """Whether another version's phrasings are wanted than the index has."""
    state = KnowledgeIndex.objects.first()
    return state is not None and state.learned_of != brought_by()


def rows_with(phrasings: Sequence[New], *, embedder: Embedder) -> tuple[Rows, Rows]:
    """What serves now, and what would serve with these phrasings beside the FAQs' own, in place of those that are learnt now."""
    stored = Phrasing.objects.filter(embedder=embedder.name, faq__in=answering_faqs()).order_by("faq__key", "pk")
    serving = list(stored.values_list("faq_id", "text_hash", "faq__key", "text", "faq__category", "vector"))
    faqs = {pk: (key, category, {text_hash(text) for text in (question, *more)}) for pk, key, category, question, more in _faqs()}
    own = [row for row in serving if row[1] in faqs[row[0]][2]]
    added = [one for one in phrasings if one.faq_id in faqs and text_hash(one.text) not in faqs[one.faq_id][2]]
    vectors = embedder.encode([one.text for one in added])
    new = [
        (one.faq_id, "", faqs[one.faq_id][0], one.text, faqs[one.faq_id][1], vector)
        for one, vector in zip(added, vectors, strict=True)
    ]
    return _rows(serving, embedder), _rows([*own, *new], embedder)


def _faqs() -> QuerySet[Faq, tuple[int, str, str, str, list[str]]]:
    return answering_faqs().values_list("pk", "key", "category", "question", "phrasings")


def _rows(rows: Sequence[tuple[int, str, str, str, str, np.ndarray]], embedder: Embedder) -> Rows:
    rows = sorted(rows, key=lambda row: row[2])
    keys, texts, categories = (tuple(str(row[column]) for row in rows) for column in (2, 3, 4))
    vectors = np.array([row[5] for row in rows], dtype=np.float32).reshape(len(rows), embedder.dimensions)
    return Rows(keys, texts, categories, vectors)
