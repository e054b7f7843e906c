"""The one number that tells serving processes that passages have changed."""

from __future__ import annotations

from django.db.models import F

from chatbot.documents.models import DocumentIndex


def raise_version() -> None:
    """Have the passages loaded again; the caller holds the transaction that changed them."""
    DocumentIndex.objects.get_or_create(singleton=True)
    DocumentIndex.objects.update(version=F("version") + 1)


def current_version() -> int:
    """0 while there has never been a document."""
    return DocumentIndex.objects.values_list("version", flat=True).first() or 0
