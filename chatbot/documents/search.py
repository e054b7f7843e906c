"""Search FAQs and documents together: what the pipeline is given as its `search`.

A sure FAQ is quoted and no document is looked at. Otherwise passages that are likely to answer join the FAQs as sources for the
model to write from: before them where they are likelier, after them where not. A document is never quoted as a sure answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from django.conf import settings

from chatbot.answering.answers import Match
from chatbot.documents.access import live_passages, passage_key
from chatbot.documents.background import TEXTS
from chatbot.documents.models import Passage
from chatbot.documents.passage_index import PassageIndex
from chatbot.documents.state import current_version
from chatbot.engine.embedder import Embedder, Vectors
from chatbot.knowledge import retrieval
from chatbot.knowledge.confidence import COMPOSE_AT, DIRECT_AT
from chatbot.knowledge.embedding import default_embedder

# A passage at or above this is written from. On the questions that nothing was fitted on, three in four such passages answer, and
# 4 % of the questions that no passage answers find one (docs/knowledge.md).
PASSAGE_AT = 0.60
# One at or above this is worth a look by the model, which tells whether it answers.
LOOK_AT = 0.30
MAX_PASSAGES = 2
# The model writes from documents; word for word they read badly, so they never reach what is quoted at once.
_MOST = DIRECT_AT - 0.01


@dataclass(frozen=True)
class PassageMatch:
    """A passage as the answering rooms see it. title: what customers read as its source: file, page, heading."""

    key: str
    locale: str
    question: str
    answer: str
    revision: int
    score: float
    title: str
    faq_id: None = None


@dataclass(frozen=True)
class _Held:
    mark: tuple[int, str]
    index: PassageIndex


_held: _Held | None = None
_backgrounds: dict[str, Vectors] = {}
_loading = threading.Lock()


class FaqSearch(Protocol):
    """retrieval.search, or what stands in its place."""

    def __call__(
        self, text: str, *, locale: str, limit: int = 5, context: Sequence[str] = (), said: Sequence[str] = ()
    ) -> retrieval.Ranking: ...


@dataclass(frozen=True)
class Ranking:
    """FAQs and passages in one order; see answers.Ranking."""

    matches: tuple[Match, ...]
    confidence: float
    form: str = "alone"
    timings_ms: dict[str, float] = field(default_factory=dict)


def search_all(
    text: str,
    *,
    locale: str,
    limit: int = 5,
    context: Sequence[str] = (),
    said: Sequence[str] = (),
    search_faqs: FaqSearch = retrieval.search,
) -> Ranking:
    """Rank FAQs and passages for a question; see retrieval.search, whose place this takes.

    search_faqs: in the place of the live FAQs, to try a draft beside the same documents.
    """
    faqs = search_faqs(text, locale=locale, limit=limit, context=context, said=said)
    ranking = Ranking(faqs.matches, faqs.confidence, faqs.form, faqs.timings_ms)
    if faqs.confidence >= DIRECT_AT:
        return ranking
    started = time.monotonic()
    least = LOOK_AT if settings.ANSWER_SECOND_LOOK else PASSAGE_AT
    likely = search_passages(text, locale=locale, limit=MAX_PASSAGES, context=context)
    found = [match for match in likely if match.score >= least]
    timings_ms = faqs.timings_ms | {"documents": round((time.monotonic() - started) * 1000, 2)}
    if not found:
        return replace(ranking, timings_ms=timings_ms)
    confidence = max(faqs.confidence, min(found[0].score, _MOST))
    if found[0].score >= PASSAGE_AT:
        confidence = max(confidence, COMPOSE_AT)
    return Ranking(merged(faqs, found)[:limit], confidence, faqs.form, timings_ms)


def merged(faqs: retrieval.Ranking, found: Sequence[PassageMatch]) -> tuple[Match, ...]:
    """FAQs and passages in one order, scored by likelihood: the first FAQ's is known, the others fall in step."""
    first = max((match.score for match in faqs.matches), default=0.0)
    rate = faqs.confidence / first if first > 0 else 0.0
    in_step: list[Match] = [replace(match, score=round(match.score * rate, 4)) for match in faqs.matches]
    return tuple(sorted([*in_step, *found], key=lambda match: -match.score))


def search_passages(text: str, *, locale: str, limit: int = 5, context: Sequence[str] = ()) -> list[PassageMatch]:
    """The passages likeliest to answer, each with its likelihood as score. locale: unused, documents have one language each."""
    index = current_passages(default_embedder())
    if not len(index):
        return []
    found = index.search(text, context=context, limit=limit)
    rows = {passage.pk: passage for passage in live_passages(hit.passage_id for hit in found)}
    return [match_of(rows[hit.passage_id], score=hit.likelihood) for hit in found if hit.passage_id in rows]


def match_of(passage: Passage, *, score: float) -> PassageMatch:
    return PassageMatch(
        key=passage_key(passage.pk),
        locale=passage.document.locale,
        question=passage.heading or passage.document.title or passage.document.name,
        answer=passage.text,
        revision=passage.revision,
        score=score,
        title=title_of(passage),
    )


def title_of(passage: Passage) -> str:
    """ "Warranty.pdf, p. 3: Frames › Exclusions"."""
    page = f", p. {passage.page}" if passage.page else ""
    heading = f": {passage.heading}" if passage.heading else ""
    return f"{passage.document.name}{page}{heading}"[:500]


def current_passages(embedder: Embedder) -> PassageIndex:
    """The passages of now, or those of before while another thread is loading."""
    global _held
    mark = (current_version(), embedder.name)
    held = _held
    if held is not None and held.mark == mark:
        return held.index
    if not _loading.acquire(blocking=held is None):
        assert held is not None
        return held.index
    try:
        if _held is None or _held.mark != mark:
            _held = _Held(mark=mark, index=load_passages(embedder))
        return _held.index
    finally:
        _loading.release()


def load_passages(embedder: Embedder) -> PassageIndex:
    live = (
        live_passages().defer(None).filter(embedder=embedder.name).order_by("pk").values_list("pk", "heading", "text", "vectors")
    )
    rows = [(pk, f"{heading}\n{text}", np.frombuffer(packed, dtype="<f4")) for pk, heading, text, packed in live]
    kept = [(pk, text, flat.reshape(-1, embedder.dimensions)) for pk, text, flat in rows if len(flat)]
    background = _background(embedder) if kept else np.zeros((1, embedder.dimensions), dtype=np.float32)
    return PassageIndex(
        [pk for pk, _, _ in kept], [text for _, text, _ in kept], [flat for _, _, flat in kept], embedder, background=background
    )


def warm_up() -> None:
    """Load what the first search would wait for."""
    _background(default_embedder())
    current_passages(default_embedder())


def _background(embedder: Embedder) -> Vectors:
    """Embedded once a process: a second or two."""
    if embedder.name not in _backgrounds:
        _backgrounds[embedder.name] = embedder.encode(list(TEXTS))
    return _backgrounds[embedder.name]
