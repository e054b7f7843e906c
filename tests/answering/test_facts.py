from __future__ import annotations

import time

import pytest

from chatbot.answering.facts import Sources, extract, unsupported

SAME = [
    ("The shop closes at 5 pm.", "We close at 17:00."),
    ("下午五点关门", "We close at 5 p.m."),
    ("三到五个工作日送达", "Delivery takes 3-5 business days."),
    ("It takes five days.", "需要五天"),
    ("You pay €1,200.50.", "Der Preis ist 1.200,50 €."),
    ("运费五十元", "Shipping: CNY 50"),
    ("Returns within 2 weeks", "Returns within 14 days"),
    ("Open since 22 November 2026", "2026-11-22"),
    ("on November 22nd", "on 22/11/2026"),
    ("2026年11月22日", "November 22, 2026"),
    ("a 25 % discount", "twenty-five percent off"),
    ("Call +49 30 1234567", "Phone: +49 (0)30/1234567".replace("(0)", "")),
    ("Mail help@shop.example.", "Write to HELP@shop.example"),
    ("See [here](https://www.shop.example/a/).", "https://shop.example/a"),
    ("on Wednesdays", "open Monday to Friday"),
    ("周三营业", "Mon-Fri 9:00-18:00"),
    ("Use code SAVE10", "the code is save10"),
    ("Within half an hour", "30 minutes"),
    ("Free from 60", "free from $60"),
    ("size 37-622", "37-622 fits"),
    ("2 kg at most", "max. 2000 g"),
    ("It costs S$4.90.", "S$ 4.90"),
    ("You pay $5.", "S$5"),
    ("NT$200", "200 新台币"),
    ("J$100 in all", "in all J$100"),
    ("Rs. 500", "₹500"),
    ("RM 12", "MYR 12"),
]
DIFFERENT = [
    ("It takes 6 days.", "It takes 5 days."),
    ("It takes 5 weeks.", "It takes 5 days."),
    ("It costs $5.", "It costs 5 EUR."),
    ("It costs $5.", "It takes 5 days."),
    ("It costs S$5.", "It takes 5 days."),
    ("It costs S$5.", "It costs US$5."),
    ("It costs NT$5.", "It costs S$5."),
    ("It costs R$5.", "It costs J$5."),
    ("We close at 6 pm.", "We close at 5 pm."),
    ("We close at 5 am.", "We close at 5 pm."),
    ("30% off", "30 days"),
    ("See https://evil.example/x", "See https://shop.example/x"),
    ("See [here](http://shop.example/y)", "See shop.example/x"),
    ("Visit evil.example", "Visit shop.example"),
    ("Mail me@shop.example", "Mail help@shop.example"),
    ("Call 800-555-0199", "Call 800-555-0100"),
    ("on November 23", "on November 22"),
    ("on November 22, 2027", "on November 22, 2026"),
    ("on Sunday", "Monday to Friday"),
    ("七天内", "within 5 days"),
    ("两年保修", "one-year warranty"),
    ("model X200", "model X100"),
    ("Your tyre is 26-622", "Sizes: 37-622, or 26 inch"),
    ("zwölf Tage", "ten days"),
    ("1,500 EUR", "1,600 EUR"),
]


@pytest.mark.parametrize(("sentence", "source"), SAME)
def test_same_fact_in_other_writing_is_supported(sentence: str, source: str) -> None:
    assert extract(sentence), "no fact was found, so the case would prove nothing"
    assert unsupported(sentence, Sources([source])) == []


@pytest.mark.parametrize(("sentence", "source"), DIFFERENT)
def test_another_fact_is_not_supported(sentence: str, source: str) -> None:
    assert unsupported(sentence, Sources([source])) != []


@pytest.mark.parametrize(
    "text",
    [
        "You can track it online [1].",
        "1. Open the app\n2. Tap pay [2]",
        "One of our agents will help, e.g. today.",
        "The sun shines; she sat down. May I help?",
        "请您稍等一下，十分感谢。",
        "Thanks.However, it is fine",
    ],
)
def test_plain_words_hold_no_fact(text: str) -> None:
    assert extract(text) == []


def test_customer_may_be_quoted_but_not_for_links() -> None:
    said = Sources(["We ship worldwide."], customer=["My order 88123 cost $30, see https://evil.example"])
    assert unsupported("Your order 88123 cost $30.", said) == []
    assert [fact.kind for fact in unsupported("See https://evil.example.", said)] == ["link"]


def test_hostile_text_takes_no_time() -> None:
    begun = time.process_time()
    for text in (
        "1" * 20_000,
        "1," * 10_000,
        "1 " * 10_000,
        "a." * 10_000,
        "+1 " * 7_000,
        "一" * 10_000,
        "two " * 5_000,
        "x@" * 9_000,
        "(1" * 9000,
    ):
        extract(text)
    assert time.process_time() - begun < 5
