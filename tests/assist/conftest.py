"""A small shop that is searchable with an embedder of hashed words."""

from __future__ import annotations

import json

import pytest

from chatbot.knowledge import retrieval
from chatbot.knowledge.importing import import_faqs
from chatbot.knowledge.indexing import refresh_index
from tests.knowledge.conftest import SHOP, WordEmbedder


@pytest.fixture
def words(db: None, monkeypatch: pytest.MonkeyPatch) -> WordEmbedder:
    embedder = WordEmbedder()
    monkeypatch.setattr(retrieval, "serving_embedder", lambda state: embedder)
    import_faqs("\n".join(json.dumps(faq) for faq in SHOP).encode(), format="jsonl", author=None, enqueue=False)
    refresh_index(embedder=embedder)
    return embedder
