"""Bring the embedded phrasings up to what is published, and tell the serving processes.

Steps: embed what is missing (outside any transaction, batch by batch, so that a broken run loses nothing); in one transaction
drop what is no longer wanted and raise the version; then calibrate, and raise the version again. A new FAQ is found after the
first raise, some seconds before the calibration is done. Running twice, or two at once, is harmless.

Another embedder's vectors are made beside those that serve. Its first refresh ends with the switch, when none is missing; until
then refreshes for the serving embedder go on, and a process that reads the index uses the embedder that made it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from django.conf import settings
from django.db import transaction
from django.db.models import BinaryField, F, Func
from django.utils import timezone

from chatbot.engine.embedder import Embedder
from chatbot.engine.folder_embedder import EmbedderFolderError
from chatbot.knowledge import learned
from chatbot.knowledge.access import answering_faqs
from chatbot.knowledge.confidence import Calibration
from chatbot.knowledge.embedding import default_embedder, embedder_from
from chatbot.knowledge.matrices import Rows
from chatbot.knowledge.models import KnowledgeIndex, Phrasing
from chatbot.knowledge.passages import fingerprint, text_hash
from chatbot.knowledge.scoring import Carried
from chatbot.knowledge.search_index import SearchIndex
from chatbot.telemetry import log_event

_BATCH = 64
_LOAD_BATCH = 4096
# Building anew takes less than half a second up to here. Beyond, mean and covariance stay until this share has changed.
_CARRY_FROM = 4000
_CARRY_SHARE = 0.02
# Another number makes every base calibrate again after an upgrade.
_CALIBRATION_RECIPE = 2

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
    faqs = answering_faqs().order_by("pk").values_list("pk", "question", "phrasings")
    own = {(pk, text_hash(text)): text for pk, question, phrasings in faqs.iterator(2000) for text in (question, *phrasings)}
    return own | {(faq_id, text_hash(text)): text for faq_id, text in learned.of_live().values_list("faq_id", "text")}


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
    own = Phrasing.objects.filter(embedder=embedder.name).values_list("pk", "faq_id", "text_hash")
    stale = [pk for pk, faq_id, hashed in own.iterator(10_000) if (faq_id, hashed) not in wanted]
    removed = Phrasing.objects.filter(pk__in=stale).delete()[0] if stale else 0
    switched = state.embedder != embedder.name
    if switched:
        removed += Phrasing.objects.exclude(embedder=embedder.name).delete()[0]
        state.calibration, state.fingerprint = None, ""
        state.embedder = embedder.name
        state.embedder_source = settings.EMBEDDER if embedder.name == default_embedder().name else ""
    brought_by = learned.brought_by()
    if embedded or removed or switched or state.learned_of != brought_by:
        state.learned_of = brought_by
        _raise_version(state)
    return removed, wanted, state.version


def serving_embedder(state: KnowledgeIndex | None) -> Embedder:
    """The embedder that made the vectors that serve: today's, or yesterday's as long as today's vectors are not complete."""
    if state is not None and state.embedder and state.embedder_source not in ("", settings.EMBEDDER):
        try:
            earlier = embedder_from(state.embedder_source)
        except EmbedderFolderError:
            return default_embedder()
        if earlier.name == state.embedder:
            return earlier
    return default_embedder()


def calibrate_index(*, embedder: Embedder) -> int | None:
    """Fit the confidence to what is published now, unless that is done; returns the new version."""
    return _calibrate(embedder, _wanted())


def is_calibrated(*, embedder: Embedder) -> bool:
    state = KnowledgeIndex.objects.first()
    return state is not None and state.fingerprint == _mark(embedder, _wanted())


def _mark(embedder: Embedder, wanted: _Wanted) -> str:
    return fingerprint(wanted, embedder=f"{embedder.name};{settings.ANSWER_ERROR_BUDGET};{_CALIBRATION_RECIPE}")


def _calibrate(embedder: Embedder, wanted: _Wanted) -> int | None:
    started = time.monotonic()
    mark = _mark(embedder, wanted)
    state = KnowledgeIndex.objects.get()
    if state.fingerprint == mark:
        return None
    calibration = load_search_index(embedder, state=None).calibration
    with transaction.atomic():
        state = locked_state()
        state.calibration, state.fingerprint = calibration.to_json(), mark
        _raise_version(state)
    log_event(
        "knowledge.calibrated",
        version=state.version,
        sample=calibration.sample,
        direct_at=round(calibration.marks.direct, 3),
        compose_at=round(calibration.marks.compose, 3),
        total_ms=(time.monotonic() - started) * 1000,
    )
    return state.version


def locked_state() -> KnowledgeIndex:
    """The one state row, locked until the transaction ends."""
    KnowledgeIndex.objects.get_or_create(singleton=True)
    return KnowledgeIndex.objects.select_for_update().get()


def _raise_version(state: KnowledgeIndex) -> None:
    state.version += 1
    state.refreshed_at = timezone.now()
    state.save()


def load_search_index(embedder: Embedder, *, state: KnowledgeIndex | None, earlier: SearchIndex | None = None) -> SearchIndex:
    """Build the index from the stored rows. Without a state, or one of another embedder, it calibrates itself.

    earlier: the index this process has; only rows that are not in it are read, and a large one is changed, not built anew.
    """
    stored = Phrasing.objects.filter(embedder=embedder.name, faq__in=answering_faqs())
    rows = list(stored.order_by("faq__key", "pk").values_list("pk", "faq__key", "faq__category"))
    row_ids: Rows = np.array([pk for pk, _, _ in rows], dtype=np.intp)
    keys = [key for _, key, _ in rows]
    carried = _carried(earlier, keys, row_ids) if earlier and earlier.embedder.name == embedder.name else None
    wanted = row_ids[carried.rows < 0] if carried else row_ids
    texts, vectors = _read_rows(wanted, dimensions=embedder.dimensions)
    if carried:
        known = {int(row): text for row, text in zip(wanted, texts, strict=True)}
        was = carried.scorer.texts
        texts = [was[old] if old >= 0 else known[int(pk)] for pk, old in zip(row_ids, carried.rows, strict=True)]
    return SearchIndex.from_phrasings(
        keys,
        texts,
        vectors,
        embedder,
        calibration=_stored_calibration(state, embedder),
        topics={key: category for _, key, category in rows},
        row_ids=row_ids,
        carried=carried,
        error_budget=settings.ANSWER_ERROR_BUDGET,
    )


def _stored_calibration(state: KnowledgeIndex | None, embedder: Embedder) -> Calibration | None:
    if state is None or state.embedder != embedder.name or not state.calibration:
        return None
    try:
        return Calibration.from_json(state.calibration)
    except (KeyError, TypeError):
        return None  # of an older release: the regular refresh replaces it


def _read_rows(row_ids: Rows, *, dimensions: int) -> tuple[list[str], np.ndarray]:
    """Texts and vectors of phrasings, in the order asked for. Vectors come in binary: parsing text takes ten times as long."""
    vectors = np.empty((len(row_ids), dimensions), dtype=np.float32)
    texts: list[str] = []
    for start in range(0, len(row_ids), _LOAD_BATCH):
        batch = [int(pk) for pk in row_ids[start : start + _LOAD_BATCH]]
        sent = Func(F("vector"), function="vector_send", output_field=BinaryField())
        found = {pk: (text, raw) for pk, text, raw in Phrasing.objects.filter(pk__in=batch).values_list("pk", "text", sent)}
        for offset, pk in enumerate(batch):
            text, raw = found[pk]
            texts.append(text)
            # Two 16-bit numbers (dimensions, unused), then big-endian floats.
            vectors[start + offset] = np.frombuffer(raw, dtype=">f4", offset=4)
    return texts, vectors


def _carried(earlier: SearchIndex, keys: list[str], row_ids: Rows) -> Carried | None:
    """Where each row and entry stood in the earlier index; None when building anew is as quick or due."""
    if earlier.row_ids is None or len(row_ids) < _CARRY_FROM:
        return None
    place = {int(pk): row for row, pk in enumerate(earlier.row_ids)}
    rows: Rows = np.array([place.get(int(pk), -1) for pk in row_ids], dtype=np.intp)
    starts = [row for row, key in enumerate(keys) if row == 0 or key != keys[row - 1]]
    ends = [*starts[1:], len(keys)]
    if not earlier.scorer.can_carry([end - start for start, end in zip(starts, ends, strict=True)]):
        return None
    number = {key: entry for entry, key in enumerate(earlier.keys)}
    entries = np.full(len(starts), -1, dtype=np.intp)
    for entry, (start, end) in enumerate(zip(starts, ends, strict=True)):
        before = number.get(keys[start], -1)
        same = before >= 0 and earlier.scorer.counts[before] == end - start and (rows[start:end] >= 0).all()
        entries[entry] = before if same else -1
    carried = Carried(scorer=earlier.scorer, rows=rows, entries=entries)
    return carried if carried.changes <= _CARRY_SHARE * len(row_ids) else None
