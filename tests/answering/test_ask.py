"""`manage.py ask` over real PostgreSQL, the packaged embedder and the scripted engine."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chatbot import runtime
from chatbot.engine.embedder import default_embedder
from chatbot.knowledge.importing import import_faqs
from chatbot.knowledge.indexing import refresh_index
from tests.knowledge.conftest import SHOP

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def shop(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import_faqs("\n".join(json.dumps(faq) for faq in SHOP).encode(), format="jsonl", author=None, enqueue=False)
    refresh_index(embedder=default_embedder())
    monkeypatch.setattr(runtime, "_engine", None)
    yield


def ask(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("ask", *arguments, stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


def test_answer_comes_with_its_trace() -> None:
    out = ask("How do I return an item?")
    assert "decision: " in out and "confidence: " in out and "returns [en]" in out and "search_ms: " in out


def test_json_holds_answer_and_ranking() -> None:
    found = json.loads(ask("怎么退货？", "--locale", "zh", "--json"))
    assert found["question"] == "怎么退货？"
    assert found["language"] == "zh-hans"
    assert found["trace"]["ranked"][0]["key"] == "returns"
    assert found["trace"]["ranked"][0]["locale"] == "zh-hans"


@pytest.mark.parametrize("arguments", [["  "], ["x" * 4001], ["hello", "--locale", "xx"]])
def test_bad_input_is_refused_with_a_sentence(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match="must have|Unknown locale"):
        ask(*arguments)
