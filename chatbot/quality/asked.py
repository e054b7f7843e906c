"""A question to try, as files and rows hold it: what is asked, what was said before, and which FAQ should answer. No database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chatbot.answering.prompting import Turn
from chatbot.errors import InvalidInput
from chatbot.knowledge.evaluation import read_questions
from chatbot.protocol import MAX_TEXT_CHARS

MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_TURNS = 20


@dataclass(frozen=True)
class Asked:
    """expected: the key of the FAQ that answers, None where nothing does. judged: whether anything is expected at all."""

    text: str
    locale: str = "en"
    history: tuple[Turn, ...] = ()
    expected: str | None = None
    judged: bool = True

    @property
    def identity(self) -> str:
        """The same for questions that are asked alike: text, language and what was said before."""
        told = [self.text, self.locale, *(f"{turn.role}:{turn.text}" for turn in self.history)]
        return hashlib.sha256("\x00".join(told).encode()).hexdigest()

    def as_line(self) -> dict[str, Any]:
        line: dict[str, Any] = {"text": self.text, "locale": self.locale}
        if self.judged:
            line["expected"] = self.expected
        return line | ({"history": turns_as_json(self.history)} if self.history else {})


def asked_of(line: Mapping[str, Any]) -> Asked:
    """Read one line of a question file. Raises ValueError for a text that no customer could send."""
    text = str(line["text"]).replace("\x00", "").strip()
    if not 0 < len(text) <= MAX_TEXT_CHARS:
        raise ValueError(f"the text must have 1 to {MAX_TEXT_CHARS} characters")
    locale = line.get("locale") or "en"
    if not isinstance(locale, str) or len(locale) > 35:
        raise ValueError("locale must be a language code such as en or zh-hans")
    return Asked(
        text=text,
        locale=locale.lower(),
        history=turns_of(line.get("history") or []),
        expected=line.get("expected"),
        judged="expected" in line,
    )


def read_asked(data: bytes) -> list[Asked]:
    """Read a question file. Raises InvalidInput that names the line."""
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInput(f"A question file has at most {MAX_FILE_BYTES // 1024**2} MB.")
    try:
        lines = read_questions(data)
    except UnicodeDecodeError as error:
        raise InvalidInput("The file is not UTF-8 text.") from error
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    asked = []
    for number, line in enumerate(lines, start=1):
        try:
            asked.append(asked_of(line))
        except ValueError as error:
            raise InvalidInput(f"question {number}: {error}") from error
    return asked


def write_asked(asked: Iterable[Asked]) -> str:
    return "".join(json.dumps(one.as_line(), ensure_ascii=False) + "\n" for one in asked)


def turns_of(rows: Any) -> tuple[Turn, ...]:
    """Read earlier turns, `{"role", "text"}` each. Raises ValueError."""
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise ValueError("history must be a list")
    turns = []
    for row in rows:
        if not isinstance(row, Mapping) or row.get("role") not in ("user", "assistant") or not isinstance(row.get("text"), str):
            raise ValueError('each earlier turn must be {"role": "user" or "assistant", "text"}')
        turns.append(Turn(role=row["role"], text=row["text"].replace("\x00", "")))
    return tuple(turns)


def turns_as_json(turns: Iterable[Turn]) -> list[dict[str, str]]:
    return [{"role": turn.role, "text": turn.text} for turn in turns]
