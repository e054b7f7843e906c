"""The small shop, published and searchable, and a suite of questions about it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from chatbot import runtime
from chatbot.engine.fake import ScriptedEngine
from chatbot.knowledge.embedding import default_embedder
from chatbot.knowledge.importing import import_faqs
from chatbot.knowledge.indexing import refresh_index
from chatbot.quality import suite
from chatbot.quality.asked import Asked
from tests.knowledge.conftest import SHOP

SUITE = [
    Asked("How do I return an item?", expected="returns"),
    Asked("怎么退货？", locale="zh-hans", expected="returns"),
    Asked("When are the stores open?", expected="hours"),
    Asked("who won the chess world cup in 1972", expected=None),
]


@pytest.fixture
def shop(db: None) -> None:
    import_faqs("\n".join(json.dumps(faq) for faq in SHOP).encode(), format="jsonl", author=None, enqueue=False)
    refresh_index(embedder=default_embedder())


@pytest.fixture
def questions(shop: None) -> None:
    for asked in SUITE:
        suite.add_question(asked, author=None)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedEngine]:
    """The engine of this process."""
    made = ScriptedEngine()
    made.start()
    monkeypatch.setattr(runtime, "_engine", made)
    yield made
    made.stop()
