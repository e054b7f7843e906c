from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chatbot import runtime
from chatbot.answering import pipeline
from chatbot.answering.answers import Question
from chatbot.engine.fake import ScriptedEngine


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the pipeline yield these steps; the engine is not asked."""
    monkeypatch.setattr(runtime, "engine", ScriptedEngine)

    def script(*steps: Any) -> None:
        def steps_of(question: Question, **parts: Any) -> Iterator[Any]:
            for step in steps:
                yield step() if callable(step) else step

        monkeypatch.setattr(pipeline, "answer", steps_of)

    return script
