import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from chatbot.knowledge.models import Faq, Phrasing
from tests.knowledge.conftest import SHOP


@pytest.fixture
def faqs(tmp_path: Path) -> Path:
    file = tmp_path / "faqs.jsonl"
    file.write_text("\n".join(json.dumps(faq) for faq in SHOP))
    return file


def said(*args: object, **options: object) -> str:
    out = StringIO()
    call_command(*map(str, args), stdout=out, stderr=out, **options)
    return out.getvalue()


@pytest.mark.django_db
def test_import_and_export_come_full_circle(faqs: Path, tmp_path: Path) -> None:
    assert "4 created, 0 changed, 0 unchanged" in said("importfaqs", faqs)
    assert Phrasing.objects.count() == 19
    exported = tmp_path / "out.csv"
    said("exportfaqs", exported)
    assert "0 created, 0 changed, 4 unchanged" in said("importfaqs", exported)
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


@pytest.mark.django_db
def test_a_bad_file_is_refused_line_by_line(faqs: Path) -> None:
    with faqs.open("a") as stream:
        stream.write('\n{"key": "x"}\nnot json')
    with pytest.raises(CommandError, match="(?s)Nothing was imported.*line 5: locale is missing.*line 6: is not one JSON object"):
        said("importfaqs", faqs)
    assert not Faq.objects.exists()


@pytest.mark.django_db
def test_a_dry_run_writes_nothing(faqs: Path) -> None:
    assert "4 would be created" in said("importfaqs", faqs, "--dry-run")
    assert not Faq.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("command", ["importfaqs", "exportfaqs"])
def test_a_wrong_place_is_a_sentence(command: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file or directory"):
        said(command, tmp_path / "nowhere" / "faqs.csv")
    with pytest.raises(CommandError, match=r"\.jsonl, \.csv or \.xlsx"):
        (tmp_path / "faqs.txt").write_text("")
        said(command, tmp_path / "faqs.txt")


def test_an_evaluation_touches_no_database(faqs: Path, tmp_path: Path) -> None:
    questions, out = tmp_path / "questions.jsonl", tmp_path / "results.jsonl"
    asked = [
        {"text": "can I send the shoes back", "locale": "en", "expected": "returns"},
        {"text": "营业时间", "locale": "zh-hans", "expected": "hours"},
        {"text": "who won the chess world cup", "locale": "en", "expected": None},
        {
            "text": "and on sunday?",
            "locale": "en",
            "expected": "hours",
            "history": [{"role": "user", "text": "When do you open?"}],
        },
    ]
    questions.write_text("\n".join(json.dumps(question) for question in asked))
    printed = said("evaluateretrieval", faqs, questions, out=out)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["text"] for line in lines] == [question["text"] for question in asked]
    assert all(line.keys() == {"text", "expected", "ranked", "confidence", "decision"} for line in lines)
    assert [line["ranked"][0]["key"] for line in lines if line["expected"]] == ["returns", "hours", "hours"]
    assert {line["decision"] for line in lines} <= {"direct", "compose", "clarify", "handoff"}
    for figure in ("recall@1: 100.0 %", "recall@3: 100.0 %", "MRR@10: 100.0 %", "null AUROC: 100.0 %", "null refused:"):
        assert figure in printed


def test_an_evaluation_names_what_is_wrong_with_its_files(faqs: Path, tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"expected": "a"}')
    with pytest.raises(CommandError, match="line 1 has no text"):
        said("evaluateretrieval", faqs, questions, out=tmp_path / "out.jsonl")
