"""A company, a search and an engine that do what a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pytest

from chatbot.answering.pipeline import Answer, Progress, Question, Turn, Waiting, answer
from chatbot.answering.prompting import estimate_tokens
from chatbot.company import Company
from chatbot.engine.requests import (
    ChatMessage,
    EngineBusy,
    EngineStats,
    FinishReason,
    GenerationHandle,
    GenerationOutput,
    GenerationRequest,
)


@dataclass(frozen=True)
class Found:
    faq_id: int
    key: str
    locale: str
    question: str
    answer: str
    revision: int = 1
    score: float = 1.0


@dataclass(frozen=True)
class Ranked:
    matches: Sequence[Found]
    confidence: float
    form: str = "alone"
    timings_ms: dict[str, float] = field(default_factory=dict)


DELIVERY = Found(
    1,
    "delivery-cost",
    "en",
    "How much does delivery cost?",
    "Delivery costs $4.90. It is free from $60. It takes 2 to 4 business days.",
)
RETURNS = Found(
    2,
    "returns",
    "en",
    "How do I return something?",
    "You have 30 days. Start at [our portal](https://shop.example/returns). Refunds take 5 days.",
)
HOURS = Found(
    3, "hours", "en", "When are you open?", "We are open Monday to Friday from 9:00 to 18:00. On Saturday we close at 5 pm."
)
DELIVERY_ZH = Found(1, "delivery-cost", "zh-hans", "运费多少钱？", "运费为 $4.90，满 $60 包邮，2 到 4 个工作日送达。")


class FakeSearch:
    """Answers by the first listed piece of text that the query (or its context) contains."""

    def __init__(self, *rules: tuple[str, Ranked]) -> None:
        self.rules = rules
        self.calls: list[tuple[str, str, tuple[str, ...]]] = []
        self.said: tuple[str, ...] = ()

    def __call__(
        self, text: str, *, locale: str, limit: int = 5, context: Sequence[str] = (), said: Sequence[str] = ()
    ) -> Ranked:
        self.said = tuple(said)
        self.calls.append((text, locale, tuple(context)))
        query = " ".join([*context, text]).lower()
        for piece, ranked in self.rules:
            if piece in query:
                return Ranked(ranked.matches[:limit], ranked.confidence, form="in_context" if context else "alone")
        return Ranked((), 0.0)


class FakeEngine:
    """Delivers the given pieces, then ends. hold: end only when cancelled."""

    model_version = "fake-1"
    versions = ("fake-1",)
    context_tokens = 4096

    def __init__(
        self,
        pieces: Iterable[str] = (),
        *,
        busy: bool = False,
        hold: bool = False,
        waiting: int = 0,
        finish: FinishReason = "stop",
    ) -> None:
        self.pieces, self.busy, self.hold, self.waiting, self.finish_reason = list(pieces), busy, hold, waiting, finish
        self.requests: list[GenerationRequest] = []
        self.handles: list[_Handle] = []

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def submit(self, request: GenerationRequest) -> GenerationHandle:
        if self.busy:
            raise EngineBusy(retry_after_s=3)
        self.requests.append(request)
        handle = _Handle(request)
        self.handles.append(handle)
        for piece in self.pieces:
            handle.deliver(piece)
        if not self.hold:
            handle.finish(self._output(self.finish_reason))
        handle.on_cancel = lambda: handle.finish(self._output("cancelled"))
        return handle

    def _output(self, reason: FinishReason) -> GenerationOutput:
        return GenerationOutput(
            text="".join(self.pieces),
            finish_reason=reason,
            prompt_tokens=100,
            completion_tokens=20,
            ttft_ms=5.0,
            model_version="fake-1",
        )

    def count_tokens(self, messages: Sequence[ChatMessage]) -> int:
        return estimate_tokens(messages)

    def stats(self) -> EngineStats:
        return EngineStats(self.waiting, 1, 8, 0, "fake-1")


class _Handle(GenerationHandle):
    on_cancel: Callable[[], None] | None = None

    def cancel(self) -> None:
        first = not self.cancelled
        super().cancel()
        if first and self.on_cancel:
            self.on_cancel()


@pytest.fixture
def company() -> Company:
    return Company(
        name="Shop",
        bot_name="Robin",
        accent="#006655",
        greeting={"en": "Hello!"},
        suggestions={"en": ["How much does delivery cost?"]},
        unknown={"en": "Our pages do not say. A person?", "zh-hans": "我们的页面没有提到。"},
    )


Run = Callable[..., list[Progress | Waiting | Answer]]


@pytest.fixture
def run(company: Company) -> Run:
    """Answer a text and return all steps."""

    def run_it(
        text: str,
        *,
        search: FakeSearch,
        engine: FakeEngine,
        locale: str = "en",
        history: Sequence[tuple[str, str]] = (),
        **options: object,
    ) -> list[Progress | Waiting | Answer]:
        turns = tuple(Turn(role, said) for role, said in history)  # type: ignore[arg-type]
        should_stop = options.pop("should_stop", lambda: False)
        question = Question(text, locale=locale, company=company, history=turns, conversation="c1", **options)  # type: ignore[arg-type]
        return list(answer(question, search=search, engine=engine, should_stop=should_stop))  # type: ignore[arg-type]

    return run_it
