from __future__ import annotations

import uuid
from typing import Any

from chatbot.assist.summary import MAX_POINTS, QUESTION_CHARS, Outcome, first_words, summarise
from chatbot.protocol import Citation, MessageView

_RETURNS = Citation(number=1, key="returns", title="How do I return something?", url="/help/returns/")


def _message(seq: int, role: str, text: str = "", **fields: Any) -> MessageView:
    fields = {"status": "complete", "html": "", "created_at": "2026-01-01T00:00:00+00:00"} | fields
    return MessageView(id=uuid.uuid4(), seq=seq, role=role, text=text, **fields)


def test_each_question_stands_with_what_answered_it() -> None:
    summary = summarise(
        [
            _message(1, "customer", "Hello there. Can I send my bike back? It squeaks."),
            _message(2, "assistant", "Within 30 days.", decision="direct", citations=[_RETURNS]),
            _message(3, "customer", "who won the football"),
            _message(4, "assistant", "I do not know.", decision="handoff"),
            _message(5, "customer", "The gears slip again. I want to talk to a human."),
            _message(6, "assistant", "Of course.", decision="handoff"),
        ]
    )
    assert [(p.seq, p.question, p.outcome, p.is_open) for p in summary.points] == [
        (1, "Can I send my bike back?", Outcome.ANSWERED, False),
        (3, "who won the football", Outcome.UNKNOWN, True),
        (5, "The gears slip again.", Outcome.ASKED_FOR_PERSON, True),
    ]
    assert summary.points[0].sources == (_RETURNS,)


def test_asking_back_is_settled_by_the_next_answer() -> None:
    asked = [_message(1, "customer", "returns"), _message(2, "assistant", "Which?", decision="clarify", choices=["a", "b"])]
    answered = [_message(3, "customer", "a"), _message(4, "assistant", "So.", decision="compose", citations=[_RETURNS])]
    assert [p.is_open for p in summarise(asked).points] == [True]
    assert summarise(asked + answered).open_points == []


def test_failures_stops_waiting_and_bad_ratings_stay_open() -> None:
    replies: list[dict[str, Any]] = [
        {"status": "failed", "error": "engine_failed"},
        {"status": "stopped"},
        {"status": "pending"},
        {"decision": "direct", "rating": -1},
    ]
    for reply in replies:
        summary = summarise([_message(1, "customer", "When?"), _message(2, "assistant", "x", **reply)])
        assert len(summary.open_points) == 1, reply


def test_a_question_without_reply_is_open_and_notices_are_no_replies() -> None:
    summary = summarise(
        [_message(1, "customer", "One?"), _message(2, "system", "Our team knows."), _message(3, "customer", "Two?")]
    )
    assert [p.outcome for p in summary.points] == [Outcome.PENDING, Outcome.PENDING]


def test_only_the_last_questions_of_a_long_conversation_are_kept() -> None:
    messages = [_message(n, "customer", f"Question {n}?") for n in range(1, MAX_POINTS + 4)]
    summary = summarise(messages)
    assert (len(summary.points), summary.left_out) == (MAX_POINTS, 3)
    assert summary.points[-1].question == f"Question {MAX_POINTS + 3}?"


def test_first_words_cuts_at_a_word_and_knows_chinese_sentences() -> None:
    assert first_words("你好。我的订单在哪里？谢谢。") == "我的订单在哪里？"
    assert first_words("") == ""
    long = first_words("word " * 60)
    assert len(long) <= QUESTION_CHARS + 1 and long.endswith("word…")


def test_nothing_said_gives_nothing() -> None:
    summary = summarise([])
    assert summary.points == () and summary.left_out == 0
