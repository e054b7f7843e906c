"""Take documents in, put them away, bring them back, delete them. The faces call these functions and never write the models.

An upload is stored whole or not at all; it is read by a worker (see processing). The same name again is the next revision of the
same document, and the one before answers until the new one is ready.
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from chatbot.characters import strip_invisible
from chatbot.documents import tasks
from chatbot.documents.models import MAX_NAME_CHARS, Document, DocumentFile, DocumentStatus, SuggestionStatus
from chatbot.documents.state import raise_version
from chatbot.errors import Conflict, InvalidInput, NotFound
from chatbot.staffing import audit
from chatbot.telemetry import log_event

Author = AbstractBaseUser | None


def upload_document(name: str, content: bytes, *, author: Author, max_bytes: int) -> Document:
    """Store a file and have it read. Raises InvalidInput with a sentence."""
    name = clean_name(name)
    if not content:
        raise InvalidInput(f"{name} is empty.", code="document_empty", field="file")
    if len(content) > max_bytes:
        raise too_large(name, size_bytes=len(content), max_bytes=max_bytes)
    digest = hashlib.sha256(content).hexdigest()
    with transaction.atomic():
        document = _locked_or_new(name)
        document.revision += 1
        document.status, document.error, document.error_code = DocumentStatus.WAITING, "", ""
        document.size_bytes, document.uploaded_by_id = len(content), author.pk if author else None
        document.uploaded_at, document.claimed_at = timezone.now(), None
        document.save()
        DocumentFile.objects.create(document=document, revision=document.revision, content=content, sha256=digest)
        _audit("document.uploaded", document, author=author)
        transaction.on_commit(functools.partial(tasks.enqueue_reading, document.pk, document.revision))
    return document


def too_large(name: str, *, size_bytes: int, max_bytes: int) -> InvalidInput:
    return InvalidInput(
        f"{name} has {size_bytes / 2**20:.1f} MB; at most {max_bytes // 2**20} MB are taken. Split it or save it smaller.",
        code="document_too_large",
        field="file",
    )


def clean_name(name: str) -> str:
    """The last part of a path, without what cannot be seen. Raises InvalidInput for nothing, or for too much."""
    bare = unicodedata.normalize("NFC", strip_invisible(name)).replace("\\", "/").rpartition("/")[2]
    bare = " ".join(bare.split())
    if not bare.strip("."):
        raise InvalidInput("The file needs a name.", code="document_name", field="file")
    if len(bare) > MAX_NAME_CHARS:
        raise InvalidInput(f"The file's name has more than {MAX_NAME_CHARS} characters.", code="document_name", field="file")
    return bare


def _locked_or_new(name: str) -> Document:
    Document.objects.get_or_create(name=name, defaults={"uploaded_at": timezone.now()})
    return Document.objects.select_for_update().get(name=name)


def locked(document_id: int) -> Document:
    """The document, locked until the transaction ends. Raises NotFound."""
    document = Document.objects.select_for_update().filter(pk=document_id).first()
    if document is None:
        raise NotFound("This document does not exist.", code="document_not_found")
    return document


def archive_document(document_id: int, *, author: Author = None) -> Document:
    """Take it out of every answer; file and passages stay."""
    with transaction.atomic():
        document = locked(document_id)
        document.status, document.live_revision, document.error = DocumentStatus.ARCHIVED, 0, ""
        document.save()
        _audit("document.archived", document, author=author)
        raise_version()
    return document


def restore_document(document_id: int, *, author: Author = None) -> Document:
    """Let a document answer again that was put away. An upload that was never read is read now. Raises Conflict."""
    with transaction.atomic():
        document = locked(document_id)
        if document.is_answering or document.status not in (DocumentStatus.ARCHIVED, DocumentStatus.FAILED):
            raise Conflict("This document is not archived.", code="document_not_archived")
        newest = document.passages.aggregate(newest=Max("revision"))["newest"] or 0
        document.error, document.error_code = "", ""
        if newest != document.revision and document.files.filter(revision=document.revision).exists():
            document.status, document.claimed_at = DocumentStatus.WAITING, None
            transaction.on_commit(functools.partial(tasks.enqueue_reading, document.pk, document.revision))
        elif newest:
            document.status, document.live_revision = DocumentStatus.READY, newest
        else:
            raise Conflict("No version of this file could be read. Upload it again.", code="document_no_file")
        document.save()
        _audit("document.restored", document, author=author)
        raise_version()
        transaction.on_commit(tasks.enqueue_refresh)
    return document


def delete_document(document_id: int, *, author: Author = None) -> None:
    """Remove file, passages and the document. Replies that cited it keep its title."""
    with transaction.atomic():
        document = locked(document_id)
        revision = document.revision
        _audit("document.deleted", document, author=author)
        document.delete()
        raise_version()
    log_event("document.deleted", document=document_id, revision=revision)


def _audit(action: str, document: Document, *, author: Author) -> None:
    audit.record(author.pk if author else None, action, f"document {document.pk}", {"revision": document.revision})


def ask_for_suggestions(document_id: int) -> Document:
    """Have the model draft FAQs from the live passages. Raises Conflict while that cannot be."""
    with transaction.atomic():
        document = locked(document_id)
        if not document.is_answering:
            raise Conflict("The document has to be ready first.", code="document_not_ready")
        if document.suggestion_status in (SuggestionStatus.WAITING, SuggestionStatus.WRITING):
            raise Conflict("Suggestions are being written already.", code="document_suggesting")
        document.suggestion_status, document.suggestion_note = SuggestionStatus.WAITING, ""
        document.suggestion_claimed_at = timezone.now()
        document.save()
        transaction.on_commit(functools.partial(tasks.enqueue_suggesting, document.pk))
    return document
