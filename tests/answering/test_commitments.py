from __future__ import annotations

import pytest

from chatbot.answering.commitments import DECLINES, Commitments


@pytest.mark.parametrize(
    ("sentence", "matter"),
    [
        ("You will get your money back.", "refund"),
        ("我们会全额退款。", "refund"),
        ("Wir erstatten den Betrag.", "refund"),
        ("We guarantee that it fits.", "guarantee"),
        ("Delivery is free.", "free"),
        ("运费全免费。", "free"),
        ("You are legally entitled to a new one.", "law"),
        ("Take a painkiller and see a doctor.", "health"),
        ("There is a student discount.", "discount"),
        ("It arrives tomorrow.", "tomorrow"),
        ("We send it immediately.", "at once"),
        ("I have cancelled your order.", "deed"),
        ("Your order has been cancelled.", "deed"),
        ("I will ask a colleague.", "deed"),
        ("我已经为您取消了订单。", "deed"),
    ],
)
def test_commitment_that_no_passage_makes_is_found(sentence: str, matter: str) -> None:
    assert matter in Commitments(["Bicycles come in three sizes, in red and blue."]).unfounded(sentence)


@pytest.mark.parametrize(
    ("passage", "sentence"),
    [
        ("We refund you within 5 days.", "我们会在 5 天内退款。"),
        ("The money goes back to your card.", "You get a refund to your card."),
        ("Returns in a store are free.", "在门店退货免费。"),
        ("Same-day delivery is possible.", "It can arrive today."),
        ("Invoices must be kept for 5 years by law.", "The law says that invoices are kept."),
        ("I'm a digital assistant; I will say so.", "I will say so."),
    ],
)
def test_commitment_of_a_passage_may_be_given_in_any_language(passage: str, sentence: str) -> None:
    assert Commitments([passage]).unfounded(sentence) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "Sorry, but we can't help with that.",
        "I cannot answer this question.",
        "The passages do not say anything about boats.",
        "That is not mentioned in the FAQ.",
        "没有提到这个问题。",
        "很抱歉，我无法回答。",
    ],
)
def test_ways_to_decline(sentence: str) -> None:
    assert DECLINES.search(sentence)


@pytest.mark.parametrize("sentence", ["We cannot deliver on Sundays.", "You do not need the receipt.", "不能使用两个优惠码。"])
def test_a_no_that_answers_is_no_declining(sentence: str) -> None:
    assert not DECLINES.search(sentence)
