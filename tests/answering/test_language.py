from __future__ import annotations

import pytest

from chatbot.answering.language import detect, direction, same_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("how much is shipping to germany?", "en"),
        ("can i retrun my shoes if i wore them once", "en"),
        ("was kostet der versand nach österreich", "de"),
        ("combien coûte la livraison en Suisse", "fr"),
        ("¿Cuánto cuesta el envío a Francia?", "es"),
        ("运费多少钱", "zh-hans"),
        ("我的訂單在哪裡", "zh-hant"),
        ("iPhone 15 Pro Max 多少钱", "zh-hans"),
        ("我要refund", "zh-hans"),
        ("Can I use 支付宝 or 微信支付 to pay?", "en"),
        ("送料はいくらですか", "ja"),
        ("배송비가 얼마예요?", "ko"),
        ("كم تكلفة الشحن؟", "ar"),
        ("מתי תגיע ההזמנה שלי", "he"),
        ("сколько стоит доставка", "ru"),
        ("Скільки коштує доставка", "uk"),
    ],
)
def test_tells_language_whatever_the_interface(text: str, language: str) -> None:
    assert detect(text, fallback="en") == language
    assert detect(text, fallback="zh-hans") == language


@pytest.mark.parametrize("text", ["refund?", "ok", "12345", "https://shop.example", "👍", ""])
def test_short_text_takes_the_interface_language(text: str) -> None:
    assert detect(text, fallback="de") == "de"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("en", "en-GB", True),
        ("zh", "zh-hans", True),
        ("zh-hans", "zh-hant", False),
        ("zh-tw", "zh-hant", True),
        ("en", "de", False),
    ],
)
def test_regions_share_a_language_but_chinese_scripts_do_not(first: str, second: str, same: bool) -> None:
    assert same_language(first, second) is same


def test_ambiguous_han_follows_the_interface() -> None:
    assert detect("退款", fallback="zh-hant") == "zh-hant"
    assert detect("退款", fallback="en") == "zh-hans"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("iPhone متى يصل", "rtl"), ("מתי?", "rtl"), ("hello", "ltr"), ("Call us: مرحبا and good day", "ltr"), ("", "ltr")],
)
def test_direction_follows_most_letters(text: str, expected: str) -> None:
    assert direction(text) == expected
