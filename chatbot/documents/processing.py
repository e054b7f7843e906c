"""Read an uploaded file, cut it, embed it, and let it answer: in one transaction, when all of it is there.

Reading runs in a process of its own (reading.sandbox), embedding outside any transaction. Whatever fails leaves the revision
before it answering and a sentence for the editor. Running twice is harmless: a revision is claimed by one conditional update.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import numpy as np
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from chatbot import runtime
from chatbot.answering.language import detect
from chatbot.documents.access import live_passages
from chatbot.documents.models import Document, DocumentFile, DocumentStatus, Passage, SuggestionStatus
from chatbot.documents.orders import gives_orders
from chatbot.documents.reading.blocks import Block, Reading, ReadingFailed
from chatbot.documents.reading.sandbox import read_file
from chatbot.documents.splitting import Passage as Piece
from chatbot.documents.splitting import split, windows
from chatbot.documents.state import raise_version
from chatbot.engine.embedder import Embedder
from chatbot.telemetry import log_crash, log_event

# Who was told to read and has not ended by now is gone: five times what reading may take, and the time to embed.
STUCK_AFTER = timedelta(minutes=20)
_BATCH = 64
_EMBEDDING_KEY = "documents:embedding"
_EMBEDDING_S = 3600
_TOLD_CHARS = 200
_MAX_TOLD = 50


def process_document(document_id: int, revision: int, *, embedder: Embedder) -> None:
    """Do the steps of this module for one upload, unless somebody else does or a newer upload has come."""
    if not _claim(document_id, revision):
        return
    started = time.monotonic()
    try:
        stored = DocumentFile.objects.select_related("document").get(document_id=document_id, revision=revision)
        reading = read_file(bytes(stored.content), name=stored.document.name)
        read_ms = (time.monotonic() - started) * 1000
        kept, orders = without_orders(reading.blocks)
        pieces = split(kept)
        if not pieces:
            raise ReadingFailed("document_no_text", "Nothing in this file can be used as an answer.")
        vectors = embed_pieces(pieces, embedder=embedder, after_batch=lambda: _still_reading(document_id, revision))
        switched = _switch(document_id, revision, reading, pieces, vectors, orders=orders, embedder=embedder)
    except ReadingFailed as failure:
        _fail(document_id, revision, code=failure.code, message=failure.message)
        return
    except Exception as error:
        log_crash(f"document {document_id}", error)
        _fail(
            document_id, revision, code="internal", message="Something of ours failed while reading this file. Upload it again."
        )
        return
    if switched:
        log_event(
            "document.ready",
            document=document_id,
            revision=revision,
            kind=reading.kind,
            pages=reading.pages,
            passages=len(pieces),
            read_ms=read_ms,
            total_ms=(time.monotonic() - started) * 1000,
        )


def _claim(document_id: int, revision: int) -> bool:
    waiting = Document.objects.filter(pk=document_id, revision=revision, status=DocumentStatus.WAITING)
    return waiting.update(status=DocumentStatus.READING, claimed_at=timezone.now()) == 1


def without_orders(blocks: Sequence[Block]) -> tuple[list[Block], list[dict[str, object]]]:
    """The blocks without those that give orders to an assistant, and these for the editor: page and first words."""
    kept: list[Block] = []
    orders: list[dict[str, object]] = []
    for block in blocks:
        if gives_orders(block.text):
            orders.append({"page": block.page, "text": block.text[:_TOLD_CHARS]})
        else:
            kept.append(block)
    return kept, orders[:_MAX_TOLD]


def _still_reading(document_id: int, revision: int) -> None:
    """Embedding a thousand pages takes many minutes; whoever looks for the lost must not take this for one of them."""
    reading = Document.objects.filter(pk=document_id, revision=revision, status=DocumentStatus.READING)
    reading.update(claimed_at=timezone.now())


def embed_pieces(pieces: Sequence[Piece], *, embedder: Embedder, after_batch: Callable[[], None] = lambda: None) -> list[bytes]:
    """The vectors of each passage, as they are stored."""
    cut = [windows(piece) for piece in pieces]
    texts = [text for found in cut for text in found]
    batches = []
    for start in range(0, len(texts), _BATCH):
        batches.append(embedder.encode(texts[start : start + _BATCH]))
        after_batch()
    rows = np.concatenate(batches)
    ends = np.cumsum([len(found) for found in cut])
    return [rows[end - len(found) : end].astype("<f4").tobytes() for found, end in zip(cut, ends, strict=True)]


@transaction.atomic
def _switch(
    document_id: int,
    revision: int,
    reading: Reading,
    pieces: Sequence[Piece],
    vectors: Sequence[bytes],
    *,
    orders: list[dict[str, object]],
    embedder: Embedder,
) -> bool:
    """Let the new passages answer instead of the old; not if a newer upload or an archiving has come between."""
    document = Document.objects.select_for_update().filter(pk=document_id).first()
    if document is None or document.revision != revision or document.status != DocumentStatus.READING:
        return False
    Passage.objects.filter(document=document, revision=revision).delete()
    Passage.objects.filter(document=document).update(vectors=b"", embedder="")
    Passage.objects.bulk_create(
        [
            Passage(
                document=document,
                revision=revision,
                order=order,
                page=piece.page,
                heading=piece.heading,
                text=piece.text,
                embedder=embedder.name,
                vectors=packed,
            )
            for order, (piece, packed) in enumerate(zip(pieces, vectors, strict=True), start=1)
        ],
        batch_size=500,
    )
    document.status, document.live_revision, document.ready_at = DocumentStatus.READY, revision, timezone.now()
    document.kind, document.pages, document.hidden = reading.kind, reading.pages, reading.hidden
    document.title, document.left_out = reading.title[:300], orders
    document.locale = detect(" ".join(piece.text for piece in pieces[:20])[:4000], fallback="en")
    document.save()
    document.files.exclude(revision=revision).delete()
    raise_version()
    return True


def _fail(document_id: int, revision: int, *, code: str, message: str) -> None:
    with transaction.atomic():
        failed = Document.objects.filter(pk=document_id, revision=revision, status=DocumentStatus.READING).update(
            status=DocumentStatus.FAILED, error_code=code, error=message[:500]
        )
        if failed:
            DocumentFile.objects.filter(document_id=document_id, revision=revision).delete()
    log_event("document.failed", document=document_id, revision=revision, code=code)


def catch_up(*, embedder: Embedder) -> list[tuple[int, int]]:
    """Embed anew what another embedder has left; returns the uploads to hand over again (a broker or worker died)."""
    lost_at = timezone.now() - STUCK_AFTER
    Document.objects.filter(status=DocumentStatus.READING, claimed_at__lt=lost_at).update(status=DocumentStatus.WAITING)
    stuck = Q(suggestion_status__in=[SuggestionStatus.WAITING, SuggestionStatus.WRITING], suggestion_claimed_at__lt=lost_at)
    Document.objects.filter(stuck).update(
        suggestion_status=SuggestionStatus.FAILED, suggestion_note="The worker that wrote the suggestions is gone. Ask again."
    )
    _embed_again(embedder)
    return list(Document.objects.filter(status=DocumentStatus.WAITING).values_list("pk", "revision"))


def _embed_again(embedder: Embedder) -> None:
    stale = list(live_passages().exclude(embedder=embedder.name))
    # One at a time: the next catching up comes before a long one has ended.
    if not stale or not runtime.valkey().set(_EMBEDDING_KEY, 1, nx=True, ex=_EMBEDDING_S):
        return
    try:
        for passage in stale:
            packed = embed_pieces([Piece(passage.heading, passage.page, passage.text)], embedder=embedder)[0]
            Passage.objects.filter(pk=passage.pk).update(vectors=packed, embedder=embedder.name)
        with transaction.atomic():
            raise_version()
    finally:
        runtime.valkey().delete(_EMBEDDING_KEY)
