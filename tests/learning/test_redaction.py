"""A small set of our own; benchmarks/redaction.py measures on a large public one."""

from __future__ import annotations

import pytest

from chatbot.learning.redaction import find, redact


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Hi, my name is Jana Kowalska.", "Hi, my name is [name]."),
        ("write to jana.k@post.example please", "write to [email] please"),
        ("call me on +65 9123 4567", "call me on [phone]"),
        ("my card 4111 1111 1111 1111 was charged", "my card [card] was charged"),
        ("IBAN DE89 3704 0044 0532 0130 00", "IBAN [iban]"),
        ("where is my order LW48213?", "where is my order [order]?"),
        ("my passport is K1234567A", "my passport is [id]"),
        ("send it to 22 Baker Street, London", "send it to [address]"),
        ("我叫王小明，电话13812345678", "我叫[name]，电话[phone]"),
        ("寄到上海市浦东新区世纪大道100号2栋301室", "寄到[address]"),
        ("我的身份证是110105199001011234", "我的身份证是[id]"),
        ("请帮张先生改一下时间", "请帮[name]先生改一下时间"),
        ("我用卡号6222 7836 9858 9869付的款", "我用卡号[card]付的款"),
        ("寄到重庆市渝北区新牌坊25号，林娜收，电话187 6039 2323", "寄到[address]，[name]，电话[phone]"),
        ("我住成都市武侯区人民南路四段193号2单元2021", "我住[address]"),
        ("订单号LW48213还没到", "订单号[order]还没到"),
    ],
)
def test_takes_personal_data_out(text: str, redacted: str) -> None:
    assert redact(text).text == redacted


@pytest.mark.parametrize(
    "text",
    [
        "How much is express delivery?",
        "Orders above 1,299.00 EUR ship free since 2024-11-12 10:30.",
        "size 42 shoes and a 700x28c tyre",
        "你们周六开门吗？电话是多少",
        "我是想问一下退货怎么办",
        "请问多久能到北京市",
        "应该是高质量的车吧，用户应该怎么注册",
        "I'd like to return two helmets",
    ],
)
def test_leaves_other_words_alone(text: str) -> None:
    assert redact(text).text == text


def test_keeps_what_the_company_publishes() -> None:
    answer = "Call +65 6000 0142 or write to help@larkwheel.example."
    assert redact(answer, published=answer).text == answer
    assert redact(answer).counts == {"phone": 1, "email": 1}


def test_finds_stand_in_order_without_overlaps() -> None:
    text = "I am Peter Novak, 12 Elm Street, peter@novak.example, +44 20 7946 0958, order LW-48213"
    finds = find(text)
    assert [one.kind for one in finds] == ["name", "address", "email", "phone", "order"]
    assert all(first.end <= second.start for first, second in zip(finds, finds[1:], strict=False))
