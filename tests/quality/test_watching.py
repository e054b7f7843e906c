"""Watching changes nothing, bending keeps the order, and a plan never reaches a model."""

from __future__ import annotations

import pytest

from chatbot.engine.requests import ChatMessage, EngineError, GenerationRequest
from chatbot.knowledge.retrieval import Match, Ranking
from chatbot.quality.judging import judge, judged_line, summary, table
from chatbot.quality.outcomes import Outcome, change_between
from chatbot.quality.thresholds import Thresholds, live_thresholds, with_thresholds
from chatbot.quality.watching import PlanningEngine, WatchedSearch

MATCH = Match(1, "hours", "en", "When are you open?", "Daily.", 1, 0.9)


def search_of(confidence: float):  # type: ignore[no-untyped-def]
    return lambda text, **_: Ranking(matches=(MATCH,), confidence=confidence)


@pytest.mark.parametrize(
    ("confidence", "bent"), [(0.0, 0.0), (0.5, "direct_at"), (0.3, "compose_at"), (0.1, "clarify_at"), (1.0, 1.0)]
)
def test_another_limit_reaches_the_live_one(confidence: float, bent: float | str) -> None:
    wanted = Thresholds(direct_at=0.5, compose_at=0.3, clarify_at=0.1)
    expected = getattr(live_thresholds(), bent) if isinstance(bent, str) else bent
    assert with_thresholds(search_of(confidence), wanted)("x", locale="en").confidence == pytest.approx(expected)


def test_a_plan_never_reaches_a_model() -> None:
    engine = PlanningEngine()
    with pytest.raises(EngineError):
        engine.submit(GenerationRequest(request_id="1", messages=()))
    assert len(engine.requests) == 1


def test_sources_are_what_the_prompt_shows_in_its_order() -> None:
    watched = WatchedSearch(search_of(0.5))
    watched("x", locale="en")
    assert watched.shown_in([ChatMessage("user", "[1] When are you open?\nDaily.")]) == [MATCH]
    assert watched.shown_in([ChatMessage("user", "[1] Something else")]) == [] == watched.shown_in([])
    assert watched.cited(["hours", "gone"], titles=["Other title", ""]) == [MATCH]


@pytest.mark.parametrize(
    ("expected", "decision", "keys", "verdict"),
    [
        ("a", "direct", ["a"], "right"),
        ("a", "compose", ["b", "a"], "right"),
        ("a", "direct", ["b"], "wrong"),
        (None, "compose", ["b"], "wrong"),
        (None, "handoff", [], "refused_right"),
        ("a", "handoff", [], "refused"),
        ("a", "clarify", [], "asked_back"),
        (None, "clarify", [], "asked_back"),
    ],
)
def test_verdicts(expected: str | None, decision: str, keys: list[str], verdict: str) -> None:
    assert judge(expected=expected, judged=True, decision=decision, keys=keys) == verdict
    assert judge(expected=expected, judged=False, decision=decision, keys=keys) == "unjudged"


def test_the_table_counts_and_names_the_medians() -> None:
    line = {"expected": "a", "decision": "direct", "citations": [{"key": "a"}], "locale": "en", "ttft_s": 0.1, "total_s": 0.2}
    other = line | {"expected": None, "decision": "handoff", "citations": [], "locale": "de", "ttft_s": None, "total_s": 0.4}
    figures = summary([judged_line(line, judged=True), judged_line(other, judged=True)])
    assert (figures["answered_right_share"], figures["refused_right_share"], figures["median_total_s"]) == (1.0, 1.0, 0.3)
    assert figures["by_locale"]["de"]["median_ttft_s"] is None
    assert "answered right: 100.0 % of 1 answerable" in table(figures)
    assert summary([])["median_total_s"] is None


def test_changes_between_outcomes() -> None:
    right = Outcome("direct", "right", ("a",), 0.95, answer="x")
    wrong = Outcome("direct", "wrong", ("b",), 0.95, answer="y")
    assert change_between(wrong, right) == "fixed" and change_between(right, wrong) == "broken"
    assert change_between(right, right) == "same"
    assert change_between(right, Outcome("direct", "right", ("a",), 0.95, answer="new words")) == "changed"
    assert change_between(right, Outcome("compose", "right", ("a",), 0.8)) == "changed"
