"""What the chats of the benchmark ask: the demo company's passages and questions, in fixed lengths. No model, no clock.

Prompts look as the product makes them: the rules, numbered passages, the customer's words. All of one round arrive together;
every round has other questions and other passages, so that a cache which survives a round helps nobody.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from chatbot.answering.prompting import RULES, Passage, compose_messages
from chatbot.engine.requests import ChatMessage

DEMO = Path(__file__).resolve().parents[1] / "support_portal/demo_company"
SYSTEM = ChatMessage("system", RULES)

# The workload's promises, checked before anything is measured.
SHARED_TOKENS = (150, 240)
PROMPT_TOKENS = (400, 900)
NEW_TOKENS = (40, 120)
ALONE_TOKENS = 600
TURNS = 10

Encode = Callable[[Sequence[ChatMessage]], list[int]]


@dataclass(frozen=True)
class Chat:
    """tokens: the messages under the model's chat template, the same for every competitor."""

    messages: Sequence[ChatMessage]
    tokens: Sequence[int]
    new_tokens: int

    def as_json(self) -> dict[str, Any]:
        messages = [[message.role, message.content] for message in self.messages]
        return {"messages": messages, "tokens": list(self.tokens), "new_tokens": self.new_tokens}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Chat:
        return cls([ChatMessage(role, content) for role, content in row["messages"]], row["tokens"], row["new_tokens"])


@cache
def passages() -> dict[str, Passage]:
    rows = [json.loads(line) for line in (DEMO / "faqs.jsonl").read_text(encoding="utf-8").splitlines() if line.strip()]
    return {row["key"]: Passage(row["question"], row["answer"]) for row in rows if row["locale"] == "en"}


@cache
def questions() -> list[tuple[str, str]]:
    """Customers' words and the key of the passage that answers them."""
    rows = [json.loads(line) for line in (DEMO / "questions.jsonl").read_text(encoding="utf-8").splitlines() if line.strip()]
    return [(row["text"], row["expected"]) for row in rows if row["locale"] == "en" and row["expected"] in passages()]


@cache
def topics() -> list[tuple[str, str]]:
    """One question a passage, so that no two chats of a round start with the same passage."""
    return list({key: (text, key) for text, key in questions()}.values())


def prompt(listed: Sequence[Passage], question: str) -> list[ChatMessage]:
    blocks = [f"[{number}] {passage.question}\n{passage.answer}" for number, passage in enumerate(listed, start=1)]
    task = f'Customer: "{question}"\nAnswer in English.'
    return [SYSTEM, ChatMessage("user", "\n\n".join(["Passages:", *blocks, task]))]


def long_prompt(number: int, *, at_least: int, at_most: int, encode: Encode) -> tuple[list[ChatMessage], list[int]]:
    """Ask question `number` over its own passage and as many others as the length takes."""
    question, key = topics()[number * 29 % len(topics())]
    others = [passage for name, passage in passages().items() if name != key]
    chosen = [passages()[key]]
    tokens = encode(prompt(chosen, question))
    for step in range(len(others)):
        if len(tokens) >= at_least:
            break
        longer = [*chosen, others[(number * 13 + step * 7) % len(others)]]
        more = encode(prompt(longer, question))
        if len(more) <= at_most:
            chosen, tokens = longer, more
    return prompt(chosen, question), tokens


def make_round(count: int, *, number: int, encode: Encode, quick: bool = False) -> list[Chat]:
    """Make the chats of one round: lengths depend on the place in the round only, contents on the round as well."""
    chats = []
    for at in range(count):
        at_least = PROMPT_TOKENS[0] + (at * 7 % 16) * 27
        messages, tokens = long_prompt(number * count + at, at_least=at_least, at_most=PROMPT_TOKENS[1], encode=encode)
        new_tokens = NEW_TOKENS[0] + at * 37 % (NEW_TOKENS[1] - NEW_TOKENS[0] + 1)
        chats.append(Chat(messages, tokens, new_tokens // 2 if quick else new_tokens))
    check_round(chats, quick=quick)
    return chats


def check_round(chats: Sequence[Chat], *, quick: bool) -> None:
    """Raise ValueError unless the round is what the table says it is."""
    low, high = (bound // 2 for bound in NEW_TOKENS) if quick else NEW_TOKENS
    in_order = sorted(chat.tokens for chat in chats)
    for shared in map(shared_tokens, zip(in_order, in_order[1:], strict=False)):
        if not SHARED_TOKENS[0] <= shared <= SHARED_TOKENS[1]:
            raise ValueError(f"two prompts share {shared} tokens, not {SHARED_TOKENS[0]} to {SHARED_TOKENS[1]}")
    for chat in chats:
        if not PROMPT_TOKENS[0] <= len(chat.tokens) <= PROMPT_TOKENS[1]:
            raise ValueError(f"a prompt has {len(chat.tokens)} tokens, not {PROMPT_TOKENS[0]} to {PROMPT_TOKENS[1]}")
        if not low <= chat.new_tokens <= high:
            raise ValueError(f"an answer has {chat.new_tokens} tokens, not {low} to {high}")


def shared_tokens(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts start with."""
    shortest = min(map(len, prompts))
    return next((at for at in range(shortest) if len({tokens[at] for tokens in prompts}) > 1), shortest)


def warm_chat(encode: Encode) -> Chat:
    messages = prompt(list(passages().values())[-2:], "Hello, are you there?")
    return Chat(messages, encode(messages), 8)


def alone_chats(count: int, *, encode: Encode) -> list[Chat]:
    """Prompts of 600 tokens, give or take a passage."""
    chats = []
    for at in range(count):
        wanted = {"at_least": ALONE_TOKENS - 50, "at_most": ALONE_TOKENS + 90}
        messages, tokens = long_prompt(1000 + 17 * at, encode=encode, **wanted)
        chats.append(Chat(messages, tokens, 96))
    return chats


def conversation_turns() -> list[str]:
    """The customer's side of a conversation of ten turns; the first brings passages along."""
    asked = [text for text, _ in questions()[:: len(questions()) // TURNS]][:TURNS]
    return [prompt(list(passages().values())[:4], asked[0])[1].content, *asked[1:]]


def quality_prompts(count: int) -> list[list[ChatMessage]]:
    """Prompts exactly as the product writes them: a demo question, its passage and two others."""
    asked = questions()
    step = max(1, len(asked) // count)
    keys = list(passages())
    prompts = []
    for at, (text, key) in enumerate(asked[::step][:count]):
        listed = [passages()[name] for name in (key, keys[at * 5 % len(keys)], keys[(at * 11 + 3) % len(keys)])]
        prompts.append(
            compose_messages(text, passages=listed, language="en", company="Larkwheel", bot_name="the Larkwheel assistant")
        )
    return prompts
