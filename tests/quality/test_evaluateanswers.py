"""`manage.py evaluateanswers`: scratch and live knowledge, order, resuming, the summary, bad files."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chatbot import runtime
from chatbot.engine.fake import ScriptedAnswer, ScriptedEngine
from chatbot.knowledge.embedding import default_embedder
from chatbot.knowledge.importing import import_faqs
from chatbot.knowledge.indexing import refresh_index
from tests.knowledge.conftest import SHOP

FIELDS = [
    *["text", "history", "locale", "expected", "decision", "answer", "sources", "citations", "withheld", "ttft_s", "total_s"]
]
ASKED = [
    {"text": "How do I return an item?", "locale": "en", "expected": "returns"},
    {"text": "怎么退货？", "locale": "zh-hans", "expected": "returns"},
    {"text": "who won the chess world cup in 1972", "locale": "en", "expected": None},
    {"text": "When are the stores open?", "expected": "hours"},
    {
        "text": "and on sunday?",
        "locale": "en",
        "expected": "hours",
        "history": [{"role": "user", "text": "When are the stores open?"}, {"role": "assistant", "text": "Daily."}],
    },
]


@pytest.fixture(autouse=True)
def own_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_engine", None)


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "questions.jsonl"
    file.write_text("\n".join(json.dumps(one) for one in ASKED))
    return file


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    file = tmp_path / "faqs.jsonl"
    file.write_text("\n".join(json.dumps(faq) for faq in SHOP))
    return file


def said(*arguments: Any, **options: Any) -> str:
    runtime._engine = None  # each run is a process of its own
    out = io.StringIO()
    call_command("evaluateanswers", *arguments, stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_scratch_knowledge_needs_no_database(questions: Path, shop: Path, tmp_path: Path) -> None:
    """Not marked django_db: a query would fail."""
    out = tmp_path / "answers.jsonl"
    printed = said(questions, out=out, knowledge=shop, workers=3)
    found = lines(out)
    assert [line["text"] for line in found] == [one["text"] for one in ASKED]
    assert all(list(line) == FIELDS for line in found)
    assert [line["expected"] for line in found] == ["returns", "returns", None, "hours", "hours"]
    assert found[0]["decision"] == "direct" and found[0]["citations"][0]["key"] == "returns"
    assert found[0]["sources"] == ["How do I return an item?\nSend it back within **30 days**."]
    assert found[1]["answer"] == "请在 **30 天**内寄回。" and found[1]["locale"] == "zh-hans"
    assert found[2]["citations"] == [] and found[2]["sources"] == []
    assert found[3]["locale"] == "en"
    assert [turn["role"] for turn in found[4]["history"]] == ["user", "assistant"]
    assert "answered right:" in printed and "decision direct" in printed and "locale zh-hans" in printed


def test_composing_shows_more_of_the_model_and_its_quotes(
    questions: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScriptedEngine, "_scripted", lambda *_: ScriptedAnswer(("Send it back within 30 days [1].",), 0.0))
    out = tmp_path / "answers.jsonl"
    said(questions, "--compose", out=out, knowledge=shop, limit=1)
    first = lines(out)[0]
    assert (first["decision"], first["answer"]) == ("compose", "Send it back within 30 days [1].")
    assert first["citations"][0]["quotes"] == ["Send it back within **30 days**."]
    assert first["sources"][0].startswith("How do I return an item?\n")


def test_the_summary_is_machine_readable(questions: Path, shop: Path, tmp_path: Path) -> None:
    figures = json.loads(said(questions, "--json", out=tmp_path / "a.jsonl", knowledge=shop, limit=3, workers=1))
    assert (figures["questions"], figures["answerable"], figures["unanswerable"]) == (3, 2, 1)
    assert figures["answered_right"] == 2 and figures["by_locale"]["zh-hans"]["answered_right_share"] == 1.0
    assert figures["model"] and figures["median_total_s"] is not None


@pytest.mark.django_db
def test_the_live_knowledge_answers_without_it(questions: Path, tmp_path: Path) -> None:
    import_faqs("\n".join(json.dumps(faq) for faq in SHOP[-1:]).encode(), format="jsonl", author=None, enqueue=False)
    refresh_index(embedder=default_embedder())
    out = tmp_path / "answers.jsonl"
    said(questions, out=out, workers=1)
    assert [citation["key"] for citation in lines(out)[3]["citations"]] == ["hours"]
    assert lines(out)[0]["citations"] == []


def test_a_broken_off_run_goes_on(questions: Path, shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    said(questions, out=out, knowledge=shop, workers=1)
    whole = out.read_text().splitlines(keepends=True)
    marked = whole[0].replace('"decision": "direct"', '"decision": "handoff"')
    out.write_text(marked + whole[1] + whole[2][:20])
    said(questions, out=out, knowledge=shop, workers=2, resume=True)
    assert lines(out)[0]["decision"] == "handoff", "what was there stays"
    assert [line["text"] for line in lines(out)] == [one["text"] for one in ASKED]
    questions.write_text('{"text": "something else"}\n' * 5)
    with pytest.raises(CommandError, match="other questions"):
        said(questions, out=out, knowledge=shop, resume=True)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{}", "line 1 has no text"),
        ('{"text": " "}', "question 1: the text must have"),
        ('{"text": "a", "history": [{"role": "system", "text": "x"}]}', "each earlier turn"),
        ('{"text": "a", "history": "b"}', "history must be a list"),
        ('{"text": "a", "expected": 5}', "expected must be a key or null"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, shop: Path, content: str, complaint: str) -> None:
    questions = tmp_path / "bad.jsonl"
    questions.write_text(content)
    with pytest.raises(CommandError, match=complaint):
        said(questions, out=tmp_path / "out.jsonl", knowledge=shop)
    questions.write_bytes(b"\xff\xfe{}")
    with pytest.raises(CommandError, match="UTF-8"):
        said(questions, out=tmp_path / "out.jsonl", knowledge=shop)
