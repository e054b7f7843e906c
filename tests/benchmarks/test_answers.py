"""The counter of unfounded facts: it must find what was changed and leave alone what only was written otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.answers import judge

SOURCE = (
    "How long does delivery take?\nParcels take **1–3 working days** and cost S$4.90; 10 % off from S$80. Open Monday to Friday, "
    "09:00–17:00. Ask Larkclub at help@shop.example, +65 6000 0142, or see [here](https://shop.example/delivery)."
)


def line(answer: str, **changes: Any) -> dict[str, Any]:
    return {
        "text": "and for order LW48213?",
        "decision": "compose",
        "answer": answer,
        "sources": [SOURCE],
        "withheld": [],
    } | changes


@pytest.mark.parametrize(
    "answer",
    [
        "It takes one to three working days and costs S$4.90 [1].",
        "1. Wait 1-3 days.\n2. Pay S$4.90.",
        "Your order LW48213 has 10% off from S$80.",
        "We are open on Wednesday until 5 pm.",
        "配送需要 1 到 3 个工作日，Larkclub 会员也一样。",
        "Write to Larkclub at help@shop.example or call +65 60000142; see https://shop.example/delivery/.",
        "以下是我们帮助页面的原文（English）：\n\nParcels take 1–3 working days and cost S$4.90.",
    ],
)
def test_known_facts_count_as_facts_without_fault(answer: str) -> None:
    count, bad = judge([line(answer)])
    assert count.facts > 0 and (count.faults, bad) == (0, [])


@pytest.mark.parametrize(
    ("answer", "fact"),
    [
        ("It takes five working days.", "5 day"),
        ("It takes 1-3 hours.", "3 hour"),
        ("It costs S$5.90.", "5.9 money"),
        ("You save 20 %.", "20 %"),
        ("We are open on Sunday.", "sunday"),
        ("We close at 18:00.", "18:00"),
        ("Write to sales@shop.example.", "sales@shop.example"),
        ("See https://evil.example/pay.", "https://evil.example/pay"),
        ("Call +65 9999 0142.", "+65 9999 0142"),
        ("Use code SAVE10.", "SAVE10"),
        ("You can pay with PayPal.", "PayPal"),
        ("需要五个工作日。", "5 day"),
        ("It is back in June.", "june"),
        ("以下是我们帮助页面的原文（Larkwing）：", "Larkwing"),
    ],
)
def test_facts_of_nobody_are_found(answer: str, fact: str) -> None:
    count, bad = judge([line(answer)])
    assert count.faults >= 1
    assert fact in bad[0]["facts"]


def test_quoted_answers_are_not_counted() -> None:
    assert judge([line("It costs S$99.", decision="direct")])[0].answers == 0


def test_withheld_sentences_are_judged_too() -> None:
    withheld = [
        {"sentence": "Delivery costs S$99.", "reasons": ["fact:money:S$99"]},
        {"sentence": "Parcels take 1 to 3 working days.", "reasons": ["off_topic"]},
        {"sentence": "Do parcels take 3 working days?", "reasons": ["question"]},
        {"sentence": "I cannot help with parcels.", "reasons": ["no_answer"]},
        {"sentence": "Purple elephants dance tonight.", "reasons": ["off_topic"]},
    ]
    count, bad = judge([line("It costs S$4.90.", withheld=withheld)])
    assert (count.sentences, count.withheld, count.withheld_with_faults, count.useful_withheld) == (1, 5, 1, 1)
    assert [item["sentence"] for item in bad] == ["Parcels take 1 to 3 working days."]
    assert (count.replaced, count.replaced_in_vain, count.written) == (1, 1, 0)


def test_an_answer_replaced_for_good_reason_was_not_useful() -> None:
    count, bad = judge([line("It costs S$4.90.", withheld=[{"sentence": "It costs S$99.", "reasons": ["fact:money:S$99"]}])])
    assert (count.replaced, count.replaced_in_vain, bad) == (1, 0, [])


def test_what_the_customer_said_covers_no_link() -> None:
    count, _ = judge([line("See https://evil.example.", text="look at https://evil.example")])
    assert count.faults == 1
