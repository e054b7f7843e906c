from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from chatbot.documents import processing, search, shelf, tasks
from chatbot.documents.models import Document
from chatbot.engine.embedder import Vectors, default_embedder
from tests.knowledge.conftest import WordEmbedder

WARRANTY = """# Warranty

## Frames

Frames of steel are covered for seven years against breaking. Paint is not covered.

## Batteries

Batteries are covered for two years. Send the battery to our workshop in Kallang.
"""
Upload = Callable[..., Document]


class Remembering:
    """The packaged embedder, which embeds a text once for all tests."""

    def __init__(self) -> None:
        real = default_embedder()
        self.name, self.dimensions, self.parts = real.name, real.dimensions, real.parts
        self._real = real
        self._known: dict[str, Vectors] = {}

    def encode(self, texts: Sequence[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, self._real.encode(new), strict=True) if new else ())
        return np.array([self._known[text] for text in texts], dtype=np.float32).reshape(len(texts), self.dimensions)


@pytest.fixture(scope="session")
def packaged() -> Remembering:
    return Remembering()


@pytest.fixture
def words() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def upload(db: None, monkeypatch: pytest.MonkeyPatch, words: WordEmbedder) -> Upload:
    """Upload a file and read it at once, as the worker would. read=False: the worker has not come yet."""
    monkeypatch.setattr(search, "default_embedder", lambda: words)
    monkeypatch.setattr(search, "_held", None)
    monkeypatch.setattr(tasks, "send", lambda *args, **kwargs: True)

    def upload_it(text: str | bytes = WARRANTY, *, name: str = "warranty.md", read: bool = True) -> Document:
        content = text.encode() if isinstance(text, str) else text
        document = shelf.upload_document(name, content, author=None, max_bytes=2**20)
        if read:
            processing.process_document(document.pk, document.revision, embedder=words)
            document.refresh_from_db()
        return document

    return upload_it
