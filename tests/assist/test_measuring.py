"""The evaluation of what the model writes: honest about what was kept, lost, made up and not offered."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chatbot import runtime
from chatbot.assist import evaluating, measuring
from chatbot.assist.classifiers import SENTIMENT_HELD_OUT
from chatbot.engine.fake import ScriptedEngine
from chatbot.knowledge.embedding import default_embedder
from chatbot.knowledge.retrieval import Ranking
from chatbot.quality.asked import Asked
from tests.assist.test_drafting import RETURNS, ThreeMinds


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    made = ScriptedEngine(gap_s=0.0)
    made.start()
    monkeypatch.setattr(runtime, "engine", lambda: made)
    return made


def _command(what: str, **options: Any) -> dict[str, Any]:
    out = io.StringIO()
    call_command("evaluateassist", what, stdout=out, stderr=io.StringIO(), **options)
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


def test_summaries_keep_the_facts_and_lose_what_nobody_said(engine: ScriptedEngine) -> None:
    engine.enqueue(["- Order LW48213 did not come on Friday.\n- The customer needs lights.\n- Mr Miller refunds 500 EUR."])
    engine.enqueue(["Nothing to say"])
    found = _command("summaries", items=2)
    assert found["items"] == 2 and found["offered"] == 0.5 and found["model"] == engine.model_version
    # The date that the lines have left out stands above them.
    assert found["facts kept"] == 1.0 and found["lines withheld"] == pytest.approx(1 / 3)
    assert 0 < found["length"] < 1


def test_translations_are_compared_by_their_facts_and_language(engine: ScriptedEngine) -> None:
    engine.enqueue(["您的包裹明天出库，1 到 3 个工作日内送达。"])
    engine.enqueue(["维修费用为 S$45，需要 9 天。"])
    engine.enqueue(["Sorry, I only speak English and cannot do this for you."])
    found = _command("translations", items=3)
    assert (found["offered"], found["facts kept"], found["nothing added"]) == (pytest.approx(2 / 3), 0.5, 0.5)
    assert found["language kept"] == 1.0


def test_rewrites_tell_how_long_each_style_is(engine: ScriptedEngine) -> None:
    text = measuring.items_of("rewrites")[0]["text"]
    engine.enqueue([text.replace("cann", "can")])
    engine.enqueue(["The repair takes 50 days and costs S$45."])
    found = _command("rewrites", items=2)
    assert found["offered"] == 0.5 and found["changed"] == found["facts kept"] == 1.0
    assert found["length, correct"] == pytest.approx(1, abs=0.05)


@pytest.mark.django_db
def test_drafts_are_counted_with_their_alternatives_and_sources() -> None:
    def search(text: str, **more: Any) -> Ranking:
        return Ranking(matches=(RETURNS,) if "back" in text else (), confidence=0.7 if "back" in text else 0.0)

    asked = [Asked("Can I give my jacket back?", expected="returns"), Asked("What is the moon?", expected="moon")]
    engine = ThreeMinds("Within 30 days [1].", "Returns are free [1].", "Returns are free [1]. We pay 90 EUR.")
    found = measuring.averages(measuring.try_drafts(engine, items=asked, search=search))
    assert (found["items"], found["offered"], found["cites the FAQ"], found["language kept"]) == (2, 0.5, 1, 1)
    assert found["alternatives"] >= 2


def test_drafted_faqs_are_proven_and_lead_back_to_their_passage(engine: ScriptedEngine, tmp_path: Path) -> None:
    manual = tmp_path / "manual.md"
    manual.write_text(
        "# Charging\nThe battery charges in four hours at the socket on the wall.\n"
        "# Washing\nWash the frame with cold water and never with a pressure washer.\n"
    )
    engine.enqueue(
        ["Q: How long does the battery charge?\nA: The battery charges in four hours.\nQ: Is it free?\nA: It costs 90 EUR."]
    )
    engine.enqueue(["Nothing to ask here."])
    found = _command("faqs", document=[manual])
    assert (found["items"], found["offered"], found["drafts"], found["unproven"]) == (2, 0.5, 1, 1)
    assert found["finds its passage"] == found["language kept"] == 1


@pytest.mark.django_db
def test_what_cannot_be_measured_is_said(engine: ScriptedEngine, tmp_path: Path) -> None:
    for what in ("drafts", "faqs", "related"):
        with pytest.raises(CommandError):
            _command(what)
    with pytest.raises(CommandError, match="No such file"):
        _command("faqs", document=[tmp_path / "missing.pdf"])


def test_the_frozen_sets_are_whole() -> None:
    for item in measuring.items_of("summaries"):
        said = " ".join(text for _, text in item["turns"])
        assert all(word in said for word in item["keep"]) and len(item["turns"]) >= 3
    assert {item["style"] for item in measuring.items_of("rewrites")} == {"shorter", "friendlier", "correct"}
    assert {"en", "zh-hans"} <= {item["to"] for item in measuring.items_of("translations")}


def test_the_anger_that_calls_a_person_is_measured(tmp_path: Path) -> None:
    """As docs/assist.md tells; on a company's own file too."""
    own = tmp_path / "own.jsonl"
    lines = SENTIMENT_HELD_OUT.read_text().splitlines()
    own.write_text("\n".join(line for line in lines if '"angry"' in line) + "\n")
    crossed, held_out = evaluating.of_anger(default_embedder(), held_out=own)
    assert (crossed.texts, crossed.angry) == (267, 70) and crossed.right / crossed.reached > 0.9 < crossed.right / 60
    assert held_out.reached == held_out.right >= 20 and held_out.angry == held_out.texts == 31
