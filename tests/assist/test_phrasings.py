"""Suggested phrasings: read from whatever the model writes, proven by the search, never before customers."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from chatbot.answering import giving_way
from chatbot.assist.phrasings import Asked, parse, suggest
from chatbot.engine.fake import ScriptedEngine
from chatbot.engine.requests import EngineStats
from chatbot.errors import Unavailable
from tests.knowledge.conftest import WordEmbedder

ASKED = Asked("returns", "en", "How do I return an item?", "Within 30 days.", ("send something back",))


@pytest.fixture
def engine() -> ScriptedEngine:
    made = ScriptedEngine(gap_s=0.0)
    made.start()
    return made


def _suggest(
    engine: ScriptedEngine, words: WordEmbedder, *, cancelled: Callable[[], bool] = lambda: False, steps: list[str] | None = None
) -> list[tuple[str, str]]:
    def progress(step: str, lines: int) -> None:
        if steps is not None:
            steps.append(step)

    found = suggest(ASKED, engine=engine, embedder=words, cancelled=cancelled, progress=progress)
    return [(each.text, each.fate) for each in found]


def test_what_finds_another_faq_or_is_known_is_not_offered(engine: ScriptedEngine, words: WordEmbedder) -> None:
    lines = "1. can I give my item back\n- Send something back!\n* when will my parcel arrive\n2) can I give my item back\n"
    engine.enqueue([lines])
    steps: list[str] = []
    found = _suggest(engine, words, steps=steps)
    assert ("can I give my item back", "good") in found and len([text for text, _ in found if "give" in text]) == 1
    assert ("when will my parcel arrive", "other_faq") in found
    assert all("Send something" not in text for text, _ in found)
    assert steps[0] == "waiting" and "writing" in steps and steps[-1] == "checking"


def test_what_is_no_phrasing_is_passed_over() -> None:
    text = (
        'Sure, here are ten:\n\n1. "where is it"\n（2）\n3. 我的包裹在哪里呢，请问什么时候能收到我的包裹\n- '
        + "word " * 60
        + "\n• x\n4. “track it”"
    )
    assert parse(text, locale="en") == ["where is it", "track it"]
    assert parse("1、我的包裹在哪里\n2、快递到哪了", locale="zh-hans") == ["我的包裹在哪里", "快递到哪了"]
    assert parse("保养多少钱？ 维修多少钱？", locale="zh-hans") == ["保养多少钱？", "维修多少钱？"]
    essay = "怎么付款？能用支付宝吗？能微信支付吗？门店可以用现金。暂不支持支票。"
    assert parse(f"怎么付款\n{essay}\n{'好' * 41}", locale="zh-hans") == ["怎么付款"]


def test_customers_come_first(engine: ScriptedEngine, words: WordEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = EngineStats(waiting=3, running=8, slots=8, tokens_total=0, model_version="m")
    monkeypatch.setattr(engine, "stats", lambda: busy)
    monkeypatch.setattr(giving_way, "PATIENCE_S", 0.0)
    with pytest.raises(Unavailable, match="busy with customers"):
        _suggest(engine, words)


def test_a_failing_model_is_told(engine: ScriptedEngine, words: WordEmbedder) -> None:
    engine.enqueue(["where "], error="boom")
    with pytest.raises(Unavailable, match="cannot write this now"):
        _suggest(engine, words)


def test_taking_it_back_stops_the_model(engine: ScriptedEngine, words: WordEmbedder) -> None:
    engine.enqueue(["one\n"] * 500, gap_s=0.01)
    looks = iter([False, False])
    with pytest.raises(giving_way.Cancelled):
        _suggest(engine, words, cancelled=lambda: next(looks, True))
    until = time.monotonic() + 5
    while engine.stats().running and time.monotonic() < until:
        time.sleep(0.01)
    assert engine.stats().running == 0
