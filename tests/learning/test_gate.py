"""The gate against a hundred bad candidates and a hundred good ones, all seeded."""

from __future__ import annotations

import numpy as np
import pytest

from chatbot.learning.gate import Pair, Verdict, decide

TOPICS = ["Orders", "Delivery", "Returns", "Payment", "Repairs", "Sizes", "Stores", "Account"]
QUESTIONS = 1000
KEPT = 0.8  # of what the live version answers right, what any sensible candidate answers right too


def candidate(seed: int, *, rates: dict[str, float], live: float = 0.55, plain_loss: float = 0.0) -> Verdict:
    """A candidate with these true rates of right answers by language, measured on other questions for every seed."""
    rng = np.random.default_rng(seed)
    pairs = []
    for number in range(QUESTIONS):
        locale = "en" if number % 5 < 3 else "zh-hans"
        before = rng.random() < live
        rate = rates[locale]
        stays = min(1.0, KEPT + max(0.0, rate - live) / live)
        stays = min(stays, rate / live)
        becomes = min(1.0, max(0.0, (rate - live * stays) / (1 - live)))
        after = rng.random() < (stays if before else becomes)
        pairs.append(Pair(f"q{number}", float(before), float(after), locale, TOPICS[number % len(TOPICS)]))
    plain = [Pair(f"p{n}", 1.0, float(n >= plain_loss * 100), "en") for n in range(100)]
    return decide(pairs, plain=plain, seed=seed)


@pytest.mark.parametrize(
    ("kind", "rates"),
    [
        ("random weights", {"en": 0.0, "zh-hans": 0.0}),
        ("trained on shuffled answers", {"en": 0.38, "zh-hans": 0.36}),
        ("better on average, worse in Chinese", {"en": 0.65, "zh-hans": 0.52}),
        ("no better", {"en": 0.545, "zh-hans": 0.545}),
    ],
)
def test_refuses_bad_candidates(kind: str, rates: dict[str, float]) -> None:
    passed = [seed for seed in range(25) if candidate(seed, rates=rates).passed]
    assert passed == [], f"{kind}: {len(passed)} of 25 were let through"


def test_accepts_good_candidates() -> None:
    refused = [(seed, v.reasons) for seed in range(100) if not (v := candidate(seed, rates={"en": 0.65, "zh-hans": 0.65})).passed]
    assert len(refused) <= 5, refused


def test_refuses_who_saw_the_held_out_half() -> None:
    pairs = [Pair(f"q{n}", 0.0, 1.0, "en") for n in range(100)]
    verdict = decide(pairs, trained_on=frozenset({"q3", "other"}))
    assert [code for code, _ in verdict.reasons] == ["saw_heldout"]


def test_refuses_a_duller_model_and_broken_questions() -> None:
    pairs = [Pair(f"q{n}", float(n % 2), 1.0, "en") for n in range(100)]
    plain = [Pair(f"p{n}", 1.0, float(n > 2), "en") for n in range(100)]
    verdict = decide(pairs, plain=plain, broken=["where is my parcel"])
    assert [code for code, _ in verdict.reasons] == ["plain_tasks_lose", "regression_broken"]


def test_refuses_to_judge_by_few_questions() -> None:
    assert [code for code, _ in decide([Pair("q", 0.0, 1.0, "en")] * 10).reasons] == ["too_few"]


def test_a_small_topic_that_collapses_refuses() -> None:
    good = [Pair(f"q{n}", float(n % 3 == 0), 1.0, "en", "Orders") for n in range(300)]
    bad = [Pair(f"b{n}", 1.0, 0.0, "en", "Returns") for n in range(15)]
    assert "topic_loses" in [code for code, _ in decide([*good, *bad]).reasons]


def test_interval_holds_the_true_gain() -> None:
    """Of intervals with 95 % about 95 % contain the truth."""
    inside = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        pairs = [Pair(str(n), float(rng.random() < 0.5), float(rng.random() < 0.6), "en") for n in range(200)]
        verdict = decide(pairs, seed=seed)
        inside += verdict.lower95 <= 0.1 <= verdict.upper95
    assert 180 <= inside <= 199


def test_one_language_only_says_nothing_of_the_others() -> None:
    pairs = [Pair(f"q{n}", float(n % 2), 1.0, "en-GB") for n in range(100)]
    verdict = decide(pairs, served=["en", "zh-hans"])
    assert [code for code, _ in verdict.reasons] == ["language_unasked"] and "zh-hans" in verdict.reasons[0][1]
