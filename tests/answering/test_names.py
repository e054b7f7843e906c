from __future__ import annotations

import pytest

from chatbot.answering.names import Names

NAMES = Names(["We ship with Larkclub and PayNow to Malaysia. Choose **Change order** or bring a photo ID.", "Lark Shop"])


@pytest.mark.parametrize(
    "sentence",
    [
        "Larkclub's members can pay with PayNow in Malaysia.",
        "Choose **Change order**, and bring an ID.",
        "We are open from Monday to Friday in May. Please call us; I'm glad to help.",
        "- Members pay less.\n- Others do not.",
        "See [the page](https://evil.example/Path) at www.Example.com.",
        "可以用 PayNow 支付。",
    ],
)
def test_names_that_were_given_and_plain_words_pass(sentence: str) -> None:
    assert NAMES.unknown(sentence, same_language=True) == []


@pytest.mark.parametrize(
    ("sentence", "name"),
    [
        ("You can pay with PayNow or Alipay.", "Alipay"),
        ("GrabPay is accepted.", "GrabPay"),
        ("We ship to Indonesia.", "Indonesia"),
        ("Choose **Delete everything** there.", "Delete everything"),
        ("Ask for the “golden ticket” at the till.", "golden ticket"),
        ("可以用 Alipay 支付。", "Alipay"),
    ],
)
def test_names_of_nobody_are_found(sentence: str, name: str) -> None:
    assert name in NAMES.unknown(sentence, same_language=True)


def test_german_nouns_are_no_names_but_brands_are() -> None:
    german = Names(["Die Lieferung dauert drei Tage."])
    sentence = "Die Zahlung mit der Karte dauert einen Tag, mit GrabPay nicht."
    assert german.unknown(sentence, same_language=True, language="de") == ["GrabPay"]


def test_translated_places_and_labels_pass_but_brands_do_not() -> None:
    chinese = Names(["我们送货到马来西亚，选择“更改订单”。"])
    found = chinese.unknown("We deliver to Malaysia, choose **Change order**, or ask GrabPay by PDF.", same_language=False)
    assert found == ["GrabPay"]
