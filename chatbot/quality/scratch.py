"""Knowledge that nobody serves: FAQs of a file, or the live ones with one draft in its place. Held in memory, no row changes.

The search is the index that serves customers; only where the FAQs' words come from differs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from django.conf import settings

from chatbot.engine.embedder import Embedder
from chatbot.knowledge import retrieval
from chatbot.knowledge.access import answering_faqs
from chatbot.knowledge.authoring import change_of
from chatbot.knowledge.evaluation import RememberingEmbedder
from chatbot.knowledge.importing import Entry
from chatbot.knowledge.models import Faq, FaqContent, FaqStatus, Phrasing
from chatbot.knowledge.passages import best_locale
from chatbot.knowledge.retrieval import Match, Ranking
from chatbot.knowledge.search_index import SearchIndex


@dataclass(frozen=True)
class ScratchFaq:
    faq_id: int
    key: str
    locale: str
    question: str
    answer: str
    phrasings: tuple[str, ...] = ()
    revision: int = 1
    category: str = ""

    @classmethod
    def of(cls, faq: Faq, *, words: FaqContent | None = None) -> ScratchFaq:
        """words: in the place of the FAQ's own, such as its unpublished change."""
        said = words or faq
        phrasings = tuple(said.phrasings)
        return cls(faq.pk, faq.key, faq.locale, said.question, said.answer, phrasings, faq.latest_revision, said.category)

    def all_phrasings(self) -> list[str]:
        return list(dict.fromkeys([self.question, *self.phrasings]))


class ScratchKnowledge:
    """An index with the FAQs it points to. `search` has the shape of retrieval.search."""

    def __init__(self, faqs: Iterable[ScratchFaq], index: SearchIndex) -> None:
        self.index = index
        self._by_key: dict[str, dict[str, ScratchFaq]] = {}
        for faq in faqs:
            self._by_key.setdefault(faq.key, {})[faq.locale] = faq

    @property
    def keys(self) -> set[str]:
        return set(self._by_key)

    def search(self, text: str, *, locale: str, limit: int = 5, context: Sequence[str] = (), said: Sequence[str] = ()) -> Ranking:
        started = time.monotonic()
        found = self.index.search(text, context=context, said=said, limit=limit)
        if not found.hits:
            return Ranking(matches=(), confidence=0.0)
        total_ms = round((time.monotonic() - started) * 1000, 2)
        return Ranking(
            matches=tuple(self._match(hit.key, locale=locale, score=hit.score) for hit in found.hits),
            confidence=found.confidence,
            form=found.form,
            timings_ms={**found.timings_ms, "total": total_ms},
        )

    def entry(self, key: str, *, locale: str) -> Match:
        """One entry as a search would give it out, in that language where there is one."""
        return self._match(key, locale=locale, score=1.0)

    def _match(self, key: str, *, locale: str, score: float) -> Match:
        variants = self._by_key[key]
        faq = variants[best_locale(list(variants), wanted=locale)]
        return Match(faq.faq_id, faq.key, faq.locale, faq.question, faq.answer, faq.revision, score)


def of_entries(
    entries: Sequence[Entry], *, embedder: Embedder, progress: Callable[[int], object] | None = None
) -> ScratchKnowledge:
    """A knowledge base of the published entries of a FAQ file. progress: called with the texts embedded since the last call."""
    faqs = [
        ScratchFaq(number, e.key, e.locale, e.text.question, e.text.answer, tuple(e.text.phrasings), category=e.text.category)
        for number, e in enumerate(entries, start=1)
        if (e.status or FaqStatus.PUBLISHED) == FaqStatus.PUBLISHED
    ]
    remembering = RememberingEmbedder(embedder)
    rows = [(faq.key, text) for faq in faqs for text in faq.all_phrasings()]
    remembering.remember((text for _, text in rows), progress=progress)
    vectors = remembering.encode([text for _, text in rows])
    index = SearchIndex.from_phrasings(
        [key for key, _ in rows],
        [text for _, text in rows],
        vectors,
        embedder,
        topics={faq.key: faq.category for faq in faqs},
        error_budget=settings.ANSWER_ERROR_BUDGET,
    )
    return ScratchKnowledge(faqs, index)


def with_draft(draft: Faq) -> ScratchKnowledge:
    """The live knowledge as it would be with this FAQ's draft published: its unpublished change, or else itself.

    Vectors of unchanged phrasings and the calibration are the live ones, so what differs comes from the draft.
    """
    live = retrieval.current_index()
    others = answering_faqs().exclude(pk=draft.pk)
    stored = Phrasing.objects.filter(embedder=live.embedder.name, faq__in=others)
    rows = list(stored.order_by("faq__key", "pk").values_list("faq__key", "text", "vector"))
    vectors = np.array([vector for _, _, vector in rows], dtype=np.float32).reshape(len(rows), live.embedder.dimensions)
    new = ScratchFaq.of(draft, words=change_of(draft))
    own, faqs = new.all_phrasings(), [*map(ScratchFaq.of, others), new]
    index = SearchIndex.from_phrasings(
        [*(key for key, _, _ in rows), *(new.key for _ in own)],
        [*(text for _, text, _ in rows), *own],
        np.concatenate([vectors, live.embedder.encode(own)]),
        live.embedder,
        calibration=live.calibration,
        topics={faq.key: faq.category for faq in faqs},
    )
    return ScratchKnowledge(faqs, index)
