"""Messages to token ids through the model's own chat template.

Templates come with the weights and are not trusted: transformers renders them in an immutable sandbox. What customers write
is not trusted either: the markers that separate messages are broken up inside their text, so nobody can open a system turn.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jinja2

from chatbot.engine.markers import broken_up
from chatbot.engine.requests import ChatMessage, EngineError

PLAIN_TEMPLATE = (
    "{% for message in messages %}{% if message.role == 'system' %}{{ message.content }}\n\n"
    "{% elif message.role == 'user' %}Customer: {{ message.content }}\n"
    "{% else %}Assistant: {{ message.content }}\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
# Without markers of its own a plain model may go on to write the customer's next turn.
PLAIN_STOP = ("\nCustomer:",)


class ChatFormat:
    """One tokenizer and its template. May be called from any thread."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self.stop: tuple[str, ...] = ()
        if not tokenizer.chat_template:
            tokenizer.chat_template = PLAIN_TEMPLATE
            self.stop = PLAIN_STOP
        markers = {str(token) for token in tokenizer.added_tokens_decoder.values()} | set(tokenizer.all_special_tokens)
        # A marker of one character could not be broken up, and single characters are no markers.
        longest_first = sorted((marker for marker in markers if len(marker) > 1), key=len, reverse=True)
        self._markers = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._system_role = self._takes_system_role()
        self._shared = lru_cache(maxsize=64)(self._encode_system)

    def encode(self, messages: Sequence[ChatMessage]) -> tuple[list[int], int]:
        """Return the prompt's token ids and how many of them are the system prompt, which conversations may share."""
        ids = self._encode(messages, open_answer=True)
        if not messages or messages[0].role != "system" or not self._system_role:
            return ids, 0
        system = self._shared(messages[0])
        length = next((at for at, (a, b) in enumerate(zip(system, ids, strict=False)) if a != b), min(len(system), len(ids)))
        return ids, length

    def _encode_system(self, message: ChatMessage) -> tuple[int, ...]:
        return tuple(self._encode([message], open_answer=False))

    def _encode(self, messages: Sequence[ChatMessage], *, open_answer: bool) -> list[int]:
        with self._lock:  # the tokenizer's Rust half refuses two borrowers at once
            text = self._render(messages, open_answer=open_answer)
            return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _render(self, messages: Sequence[ChatMessage], *, open_answer: bool) -> str:
        rows = [{"role": m.role, "content": self._markers.sub(broken_up, m.content)} for m in messages]
        if not self._system_role:
            rows = _fold_system(rows)
        try:
            return str(self._tokenizer.apply_chat_template(rows, tokenize=False, add_generation_prompt=open_answer))
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
            name = type(error).__name__
            raise EngineError("bad_chat_template", f"the model's chat template cannot be rendered ({name})") from error

    def _takes_system_role(self) -> bool:
        """Some templates refuse a system message; then it goes in front of the first question."""
        self._system_role = True
        try:
            self._render([ChatMessage("system", "a"), ChatMessage("user", "b")], open_answer=True)
        except EngineError:
            self._system_role = False
            self._render([ChatMessage("user", "b")], open_answer=True)
            return False
        try:
            self._render([ChatMessage("system", "a")], open_answer=False)
        except EngineError:  # a template that wants a user turn: usable, but its system prompt cannot be told apart
            return False
        return True


def _fold_system(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    if len(rows) < 2 or rows[0]["role"] != "system":
        return rows
    first = {"role": rows[1]["role"], "content": f"{rows[0]['content']}\n\n{rows[1]['content']}"}
    return [first, *rows[2:]]
