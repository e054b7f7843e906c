"""The values that go into the answering of a question and come out of it. No behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from chatbot.answering.prompting import Turn
from chatbot.company import Company
from chatbot.engine.requests import FinishReason

AnswerKind = Literal["direct", "compose", "clarify", "handoff"]


@dataclass(frozen=True)
class Question:
    """A customer's message with what the answer may depend on.

    locale: of the interface; the answer is in the language of the text where that can be told.
    history: earlier turns, oldest first, without this message; assistant turns as Markdown.
    conversation: whose prefix the engine may reuse.
    deadline_s: seconds until the answer must have ended, counted from the call of `answer`.
    patient: nobody waits, so a long queue is no reason to answer without the model.
    second_look: whether the model judges what the search is not sure of. look_heads: a folder of this machine's own heads.
    may_quote: whether a published text may stand as the answer; without it the model writes where it can, to try the checks on
    more of its sentences.
    version: which of the engine's versions writes; empty for the live one.
    """

    text: str
    locale: str
    company: Company
    history: tuple[Turn, ...] = ()
    conversation: str = ""
    deadline_s: float = 60.0
    patient: bool = False
    second_look: bool = False
    look_heads: Path | None = None
    may_quote: bool = True
    version: str = ""


@dataclass(frozen=True)
class Citation:
    """number: what the text shows as [n]; a direct answer has no mark in its text and number 1.

    quotes: the sentences of the source that carry the answer's sentences, in their order; empty where all of it is quoted.
    """

    number: int
    key: str
    title: str
    faq_id: int | None
    revision: int
    quotes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Waiting:
    """The model is busy; `position` answers are ahead, 0 when this one is next or being read."""

    position: int


@dataclass(frozen=True)
class Progress:
    """The whole answer so far; nothing in it is unverified."""

    text: str


@dataclass(frozen=True)
class Answer:
    """The end. choices: questions to offer (clarify). trace: JSON-safe, for the desk. ttft_ms: to the first text shown."""

    text: str
    decision: AnswerKind
    language: str
    citations: tuple[Citation, ...] = ()
    choices: tuple[str, ...] = ()
    trace: dict[str, Any] = field(default_factory=dict)
    finish_reason: FinishReason = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    ttft_ms: float | None = None
    model_version: str = ""


class Match(Protocol):
    """A FAQ that retrieval found, in one locale, or a passage of a document, which has no faq_id."""

    @property
    def faq_id(self) -> int | None: ...
    @property
    def key(self) -> str: ...
    @property
    def locale(self) -> str: ...
    @property
    def question(self) -> str: ...
    @property
    def answer(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def score(self) -> float: ...


@runtime_checkable
class Titled(Protocol):
    """A match that is cited by another name than its question: file, page and heading of a passage."""

    @property
    def title(self) -> str: ...


class Ranking(Protocol):
    """What retrieval returns.

    confidence: calibrated probability that matches[0] answers the question; form: "in_context" where what was said before was
    read together with it; timings_ms: of the search's steps.
    """

    @property
    def matches(self) -> Sequence[Match]: ...
    @property
    def confidence(self) -> float: ...
    @property
    def form(self) -> str: ...
    @property
    def timings_ms(self) -> dict[str, float]: ...


class Search(Protocol):
    """context: what the customer said before, newest last; said: what both sides said, newest last."""

    def __call__(
        self, text: str, *, locale: str, limit: int = 5, context: Sequence[str] = (), said: Sequence[str] = ()
    ) -> Ranking: ...
