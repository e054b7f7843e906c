from __future__ import annotations

import pytest

from chatbot.answering.understanding import asks_for_person, points_back, split_questions


@pytest.mark.parametrize(
    "text",
    [
        "I want to talk to a human",
        "can i speak with someone please",
        "human",
        "get me a real person!",
        "connect me to customer service",
        "put me through to a manager",
        "转人工",
        "我要找客服",
        "別機器人了，轉真人",
        "Ich möchte mit einem Mitarbeiter sprechen",
        "je veux parler à un conseiller",
        "quiero hablar con una persona",
    ],
)
def test_wish_for_a_person_is_understood(text: str) -> None:
    assert asks_for_person(text)


@pytest.mark.parametrize(
    "text",
    [
        "Can another person sign for my package?",
        "can someone else pick up my parcel?",
        "are you a real person?",
        "跟我聊天的是真人客服吗？",
        "Do I need to give someone my ID?",
        "what time can I talk to someone on the phone?",
        "put the bike together for someone",
        "I need a person's bike size",
    ],
)
def test_other_mentions_of_people_are_not(text: str) -> None:
    assert not asks_for_person(text)


def test_separate_questions_are_separated() -> None:
    assert split_questions("How much is shipping? And how long does it take?") == [
        "How much is shipping?",
        "And how long does it take?",
    ]
    assert split_questions("运费多少？几天能到？") == ["运费多少？", "几天能到？"]
    assert split_questions("Hi? How much is shipping") == ["Hi? How much is shipping"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("how long does delivery take and how do i get an invoice", ["how long does delivery take", "how do i get an invoice"]),
        ("What does express cost, and can I pay with GrabPay?", ["What does express cost", "can I pay with GrabPay?"]),
        ("怎么退一件外套，还有保修期是多久", ["怎么退一件外套", "还有保修期是多久"]),
    ],
)
def test_questions_joined_by_words_are_separated(text: str, parts: list[str]) -> None:
    assert split_questions(text) == parts


@pytest.mark.parametrize("text", ["Can I park and ride?", "How and when", "bread and butter", "I want it and how"])
def test_other_uses_of_and_are_not_separated(text: str) -> None:
    assert split_questions(text) == [text]


@pytest.mark.parametrize("text", ["and how much is that?", "What about Sundays?", "那周日呢？", "red ones?", "Is it waterproof?"])
def test_dependent_messages_point_back(text: str) -> None:
    assert points_back(text)


@pytest.mark.parametrize("text", ["How much does delivery to Canada cost?", "请问你们的礼品卡应该怎么使用？"])
def test_whole_questions_do_not(text: str) -> None:
    assert not points_back(text)
