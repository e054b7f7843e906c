from __future__ import annotations

from collections.abc import Callable

import pytest

from chatbot.documents import processing, search, shelf, tasks
from chatbot.documents.models import Document
from tests.knowledge.conftest import WordEmbedder

WARRANTY = """# Warranty

## Frames

Frames of steel are covered for seven years against breaking. Paint is not covered.

## Batteries

Batteries are covered for two years. Send the battery to our workshop in Kallang.
"""
Upload = Callable[..., Document]


@pytest.fixture
def words() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def upload(db: None, monkeypatch: pytest.MonkeyPatch, words: WordEmbedder) -> Upload:
    """Upload a file and read it at once, as the worker would. read=False: the worker has not come yet."""
    monkeypatch.setattr(search, "default_embedder", lambda: words)
    monkeypatch.setattr(search, "_held", None)
    monkeypatch.setattr(tasks, "_send", lambda *args, **kwargs: True)

    def upload_it(text: str | bytes = WARRANTY, *, name: str = "warranty.md", read: bool = True) -> Document:
        content = text.encode() if isinstance(text, str) else text
        document = shelf.upload_document(name, content, author=None, max_bytes=2**20)
        if read:
            processing.process_document(document.pk, document.revision, embedder=words)
            document.refresh_from_db()
        return document

    return upload_it
