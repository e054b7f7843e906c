from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.generation_workload import (
    ALONE_TOKENS,
    NEW_TOKENS,
    PROMPT_TOKENS,
    TURNS,
    Chat,
    alone_chats,
    check_round,
    conversation_turns,
    make_round,
    quality_prompts,
    shared_tokens,
)
from chatbot.engine.requests import ChatMessage


def encode(messages: Sequence[ChatMessage]) -> list[int]:
    """Stand in for the model's tokenizer: one token for every 4.4 letters, which is what its English texts have."""
    text = "".join(f"<{message.role}>{message.content}" for message in messages)
    edges = [int(at * 4.4) for at in range(int(len(text) / 4.4) + 2)]
    return [hash(text[left:right]) for left, right in zip(edges, edges[1:], strict=False)]


@pytest.mark.parametrize("count", [8, 16])
def test_a_round_keeps_the_lengths_of_the_table(count: int) -> None:
    chats = make_round(count, number=0, encode=encode)
    assert len(chats) == count
    assert all(PROMPT_TOKENS[0] <= len(chat.tokens) <= PROMPT_TOKENS[1] for chat in chats)
    assert all(NEW_TOKENS[0] <= chat.new_tokens <= NEW_TOKENS[1] for chat in chats)
    assert max(len(chat.tokens) for chat in chats) > 700
    assert len({chat.new_tokens for chat in chats}) == count


def test_rounds_are_the_same_every_time_and_differ_from_each_other() -> None:
    first, again, second = (make_round(8, number=number, encode=encode) for number in (0, 0, 1))
    assert first == again
    assert not {tuple(chat.tokens) for chat in first} & {tuple(chat.tokens) for chat in second}
    assert [chat.new_tokens for chat in first] == [chat.new_tokens for chat in second]


def test_quick_halves_the_answers_only() -> None:
    quick, whole = make_round(8, number=0, encode=encode, quick=True), make_round(8, number=0, encode=encode)
    assert [chat.new_tokens for chat in quick] == [chat.new_tokens // 2 for chat in whole]
    assert [chat.tokens for chat in quick] == [chat.tokens for chat in whole]


START = list(range(180))


@pytest.mark.parametrize(
    ("tokens", "new_tokens", "sentence"),
    [
        ([*START, *[1] * 120], 40, "300 tokens, not 400"),
        ([*START, *[1] * 800], 40, "980 tokens, not 400"),
        ([*START, *[1] * 320], 121, "121 tokens, not 40"),
        ([7] * 500, 40, "share 0 tokens"),
        ([*START, 900, *[5] * 330], 40, "share 501 tokens"),
    ],
)
def test_a_round_with_other_lengths_is_refused(tokens: list[int], new_tokens: int, sentence: str) -> None:
    chats = [Chat((), [*START, 900 + at, *[5] * 320], 40 + at) for at in range(8)]
    check_round(chats, quick=False)
    with pytest.raises(ValueError, match=sentence):
        check_round([*chats, Chat((), tokens, new_tokens)], quick=False)


def test_shared_tokens() -> None:
    assert shared_tokens([[1, 2, 3], [1, 2, 4]]) == 2
    assert shared_tokens([[1, 2], [1, 2, 4]]) == 2
    assert shared_tokens([[2], [1]]) == 0


def test_lone_chats_have_about_600_tokens() -> None:
    assert all(abs(len(chat.tokens) - ALONE_TOKENS) <= 100 for chat in alone_chats(3, encode=encode))


def test_a_conversation_has_ten_turns_and_quality_asks_many_questions() -> None:
    assert len(conversation_turns()) == TURNS
    prompts = quality_prompts(60)
    assert len(prompts) == 60
    assert len({prompt[-1].content for prompt in prompts}) == 60


def test_a_chat_travels_as_json() -> None:
    chat = make_round(8, number=0, encode=encode)[0]
    assert Chat.from_json(chat.as_json()) == chat
