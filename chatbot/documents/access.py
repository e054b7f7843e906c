"""The only way to a document from outside this room. The public reaches single passages of live documents."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Count, F, Q, QuerySet

from chatbot.documents.models import Document, Passage, SuggestedFaq
from chatbot.errors import NotFound

KEY_PREFIX = "document:"


def passage_key(passage_id: int) -> str:
    """The key under which replies cite a passage."""
    return f"{KEY_PREFIX}{passage_id}"


def live_passages(passage_ids: Iterable[int] | None = None) -> QuerySet[Passage]:
    """Passages that may answer, with their documents."""
    live = Passage.objects.filter(revision=F("document__live_revision")).select_related("document").defer("vectors")
    return live if passage_ids is None else live.filter(pk__in=list(passage_ids))


def access_live_passage(passage_id: int) -> Passage:
    """Raises NotFound when it has been replaced, archived or deleted."""
    passage = live_passages([passage_id]).first() if passage_id < 2**63 else None
    if passage is None:
        raise NotFound("This page does not exist or has been replaced.", code="passage_not_found")
    return passage


def access_passage_as_staff(passage_id: int) -> Passage:
    """Any passage, those of earlier revisions too. Raises NotFound."""
    passage = Passage.objects.select_related("document").defer("vectors").filter(pk=min(passage_id, 2**63 - 1)).first()
    if passage is None:
        raise NotFound("This passage does not exist any more.", code="passage_not_found")
    return passage


def access_document_as_staff(document_id: int) -> Document:
    document = documents_for_staff().filter(pk=min(document_id, 2**63 - 1)).first()
    if document is None:
        raise NotFound("This document does not exist.", code="document_not_found")
    return document


def documents_for_staff(*, text: str = "") -> QuerySet[Document]:
    """All documents by name, each with `passage_count`, the number of passages that answer."""
    live = Count("passages", filter=Q(passages__revision=F("live_revision")))
    documents = Document.objects.annotate(passage_count=live).select_related("uploaded_by").order_by("name")
    for word in text.replace("\x00", "").split()[:10]:
        documents = documents.filter(Q(name__icontains=word) | Q(title__icontains=word))
    return documents


def passages_of(document: Document) -> QuerySet[Passage]:
    """The live passages of a document, in order."""
    return document.passages.filter(revision=document.live_revision).defer("vectors")


def suggestions_of(document: Document) -> QuerySet[SuggestedFaq]:
    """What the model drafted from it, archived drafts left out."""
    return document.suggestions.select_related("faq", "passage").exclude(faq__status="archived")


def file_of(document: Document) -> bytes | None:
    """The bytes of the newest file that is kept."""
    content = document.files.order_by("-revision").values_list("content", flat=True).first()
    return bytes(content) if content is not None else None
