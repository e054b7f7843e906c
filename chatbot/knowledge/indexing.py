"""Bring the embedded phrasings up to what is published, and tell the serving processes.

Steps: embed what is missing (outside any transaction, batch by batch, so that a broken run loses nothing); in one transaction
drop what is no longer wanted and raise the version; then calibrate, and raise the version again. A new FAQ is found after the
first raise, a second or two before the calibration is done. Running twice, or two at once, is harmless.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from django.db import transaction
from django.utils import timezone

from chatbot.engine.embedder import Embedder
from chatbot.knowledge.confidence import Calibration
from chatbot.knowledge.models import Faq, FaqStatus, KnowledgeIndex, Phrasing
from chatbot.knowledge.passages import fingerprint, text_hash
from chatbot.knowledge.search_index import SearchIndex
from chatbot.telemetry import log_event

_BATCH = 64

Progress = Callable[[int, int], None]
# (faq id, text hash) -> text
_Wanted = dict[tuple[int, str], str]


@dataclass(frozen=True)
class Refreshed:
    version: int
    faqs: int
    phrasings: int
    embedded: int
    removed: int
    total_ms: float


def refresh_index(*, embedder: Embedder, progress: Progress | None = None, calibrate: bool = True) -> Refreshed:
    """Do the steps of this module; without `calibrate` the next refresh does the last. progress: called with (done, of all)."""
    started = time.monotonic()
    embedded = _embed_missing(embedder, progress=progress)
    removed, wanted, version = _switch(embedder, embedded=embedded)
    version = (calibrate and _calibrate(embedder, wanted)) or version
    result = Refreshed(
        version=version,
        faqs=len({faq_id for faq_id, _ in wanted}),
        phrasings=len(wanted),
        embedded=embedded,
        removed=removed,
        total_ms=(time.monotonic() - started) * 1000,
    )
    log_event(
        "knowledge.indexed",
        version=result.version,
        faqs=result.faqs,
        phrasings=result.phrasings,
        embedded=result.embedded,
        total_ms=result.total_ms,
    )
    return result


def _wanted() -> _Wanted:
    faqs = Faq.objects.filter(status=FaqStatus.PUBLISHED).only("id", "question", "phrasings").order_by("pk")
    return {(faq.pk, text_hash(text)): text for faq in faqs for text in faq.all_phrasings()}


def _present(embedder: Embedder) -> set[tuple[int, str]]:
    return set(Phrasing.objects.filter(embedder=embedder.name).values_list("faq_id", "text_hash"))


def _embed_missing(embedder: Embedder, *, progress: Progress | None) -> int:
    present = _present(embedder)
    missing = [(row, text) for row, text in _wanted().items() if row not in present]
    for start in range(0, len(missing), _BATCH):
        batch = missing[start : start + _BATCH]
        vectors = embedder.encode([text for _, text in batch])
        rows = [
            Phrasing(faq_id=faq_id, text=text, text_hash=hashed, embedder=embedder.name, vector=vector)
            for ((faq_id, hashed), text), vector in zip(batch, vectors, strict=True)
        ]
        # Another refresh may have embedded the same texts meanwhile.
        Phrasing.objects.bulk_create(rows, ignore_conflicts=True)
        if progress:
            progress(min(start + _BATCH, len(missing)), len(missing))
    return len(missing)


@transaction.atomic
def _switch(embedder: Embedder, *, embedded: int) -> tuple[int, _Wanted, int]:
    """Drop unwanted rows and raise the version if anything changed; returns (removed, wanted, version).

    The state's row is locked first, so that two refreshes judge one after the other.
    """
    state = locked_state()
    wanted = _wanted()
    stale = [
        pk
        for pk, faq_id, hashed, name in Phrasing.objects.values_list("pk", "faq_id", "text_hash", "embedder")
        if name != embedder.name or (faq_id, hashed) not in wanted
    ]
    removed = Phrasing.objects.filter(pk__in=stale).delete()[0] if stale else 0
    if embedded or removed or state.embedder != embedder.name:
        if state.embedder != embedder.name:
            state.calibration, state.fingerprint = None, ""
        state.embedder = embedder.name
        _raise_version(state)
    return removed, wanted, state.version


def _calibrate(embedder: Embedder, wanted: _Wanted) -> int | None:
    """Fit the confidence to the phrasings of now, unless that is done; returns the new version."""
    mark = fingerprint(wanted, embedder=embedder.name)
    state = KnowledgeIndex.objects.get()
    if state.fingerprint == mark:
        return None
    calibration = load_search_index(embedder, state=None).calibration
    with transaction.atomic():
        state = locked_state()
        state.calibration, state.fingerprint = calibration.to_json(), mark
        _raise_version(state)
    return state.version


def locked_state() -> KnowledgeIndex:
    """The one state row, locked until the transaction ends."""
    KnowledgeIndex.objects.get_or_create(singleton=True)
    return KnowledgeIndex.objects.select_for_update().get()


def _raise_version(state: KnowledgeIndex) -> None:
    state.version += 1
    state.refreshed_at = timezone.now()
    state.save()


def load_search_index(embedder: Embedder, *, state: KnowledgeIndex | None) -> SearchIndex:
    """Build the index from the stored rows. Without a state, or one of another embedder, it calibrates itself."""
    rows = list(
        Phrasing.objects.filter(embedder=embedder.name, faq__status=FaqStatus.PUBLISHED)
        .order_by("faq__key", "pk")
        .values_list("faq__key", "text", "vector")
    )
    vectors = np.array([vector for _, _, vector in rows], dtype=np.float32).reshape(len(rows), embedder.dimensions)
    stored = state.calibration if state and state.embedder == embedder.name else None
    return SearchIndex.from_phrasings(
        [key for key, _, _ in rows],
        [text for _, text, _ in rows],
        vectors,
        embedder,
        calibration=Calibration.from_json(stored) if stored else None,
    )
