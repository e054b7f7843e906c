"""Find the FAQs that answer a question: the one door of the answering rooms to what the company says.

Each process holds the index in memory and looks at the state's version before every search (one tiny query). When it has been
raised, one thread loads the new rows while the others go on with the index they have. The FAQs themselves are read fresh for
every search, so an archived or edited one is never quoted from memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from chatbot.engine.embedder import Embedder
from chatbot.knowledge.access import published_faqs
from chatbot.knowledge.indexing import load_search_index, serving_embedder
from chatbot.knowledge.models import Faq, KnowledgeIndex
from chatbot.knowledge.passages import best_locale
from chatbot.knowledge.search_index import Form, SearchIndex


@dataclass(frozen=True)
class Match:
    """A FAQ in the locale that suits the asker best. score: for ordering within one ranking only."""

    faq_id: int
    key: str
    locale: str
    question: str
    answer: str
    revision: int
    score: float


@dataclass(frozen=True)
class Ranking:
    """matches: best first, one a key. confidence: the calibrated probability that matches[0] answers the question."""

    matches: tuple[Match, ...]
    confidence: float
    form: Form = "alone"
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Held:
    """What this process serves, and which state of the database it came from."""

    mark: tuple[int, int, datetime | None, str]
    index: SearchIndex


_held: _Held | None = None
_loading = threading.Lock()


def search(text: str, *, locale: str, limit: int = 5, context: Sequence[str] = (), said: Sequence[str] = ()) -> Ranking:
    """Rank the published FAQs for a question, one match a key, in the asker's locale where it exists.

    context: what the customer said before, newest last; read only where the text alone is weak. said: what both sides said
    before, newest last; it tells which of many alike categories (hotels, shops, products) is meant.
    """
    started = time.monotonic()
    index = current_index()
    loaded = time.monotonic()
    found = index.search(text, context=context, said=said, limit=limit)
    if not found.hits:
        return Ranking(matches=(), confidence=0.0)
    by_key: dict[str, dict[str, Faq]] = {}
    for faq in published_faqs(hit.key for hit in found.hits):
        by_key.setdefault(faq.key, {})[faq.locale] = faq
    matches = tuple(_match(by_key[hit.key], locale=locale, score=hit.score) for hit in found.hits if hit.key in by_key)
    # The confidence is that of the first hit; if that was archived a moment ago, nothing is known of the next one.
    first_stands = bool(matches) and matches[0].key == found.hits[0].key
    return Ranking(
        matches=matches,
        confidence=found.confidence if first_stands else 0.0,
        form=found.form,
        timings_ms={
            "index": round((loaded - started) * 1000, 2),
            **found.timings_ms,
            "total": round((time.monotonic() - started) * 1000, 2),
        },
    )


def _match(variants: dict[str, Faq], *, locale: str, score: float) -> Match:
    faq = variants[best_locale(list(variants), wanted=locale)]
    return Match(
        faq_id=faq.pk,
        key=faq.key,
        locale=faq.locale,
        question=faq.question,
        answer=faq.answer,
        revision=faq.revision,
        score=score,
    )


def current_index(embedder: Embedder | None = None) -> SearchIndex:
    """The index of the newest version, or of the one before while another thread is loading.

    Without an embedder it is that of the vectors that serve.
    """
    global _held
    state = KnowledgeIndex.objects.first() or KnowledgeIndex(pk=0)
    embedder = embedder or serving_embedder(state)
    # Versions start anew in a restored or emptied database; the row's id and time tell those apart.
    mark = (state.pk, state.version, state.refreshed_at, embedder.name)
    held = _held
    if held is not None and held.mark == mark:
        return held.index
    if not _loading.acquire(blocking=held is None):
        assert held is not None
        return held.index
    try:
        if _held is None or _held.mark != mark:
            _held = _Held(mark=mark, index=load_search_index(embedder, state=state, earlier=held.index if held else None))
        return _held.index
    finally:
        _loading.release()
