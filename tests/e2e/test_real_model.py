"""One customer's question through the whole brain with real weights: stored, claimed, searched, composed, checked, announced."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatbot import runtime
from chatbot.conversations import tasks
from chatbot.conversations.models import Customer
from chatbot.engine.embedder import default_embedder
from chatbot.engine.engine import BatchedEngine
from chatbot.engine.requests import Engine
from chatbot.knowledge import authoring, indexing
from chatbot.knowledge.content import FaqText
from chatbot.protocol import SERVER_FRAMES, MessageChanged, ReplyProgress
from tests.conversations.factories import generation_of, message, post
from tests.engine.real_model import real_model_folder

FAQS = {
    "delivery-time": ("How long does delivery take?", "Parcels arrive within 3 working days.", ["delivery time"]),
    "invoice": ("How do I get an invoice?", "Download the invoice under Orders, or ask for it by e-mail.", ["receipt"]),
    "returns": ("Can I send something back?", "Yes, within 30 days, unused and with its label.", ["return an item"]),
    "hours": ("When is the shop open?", "The shop is open from 10:00 to 19:00, except on Sundays.", ["opening hours"]),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = BatchedEngine(real_model_folder(), device="cpu", dtype="int8", max_running=2, context_tokens=2048)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def knowledge(db: None) -> None:
    for key, (question, answer, phrasings) in FAQS.items():
        text = FaqText(category="", question=question, answer=answer, phrasings=tuple(phrasings))
        authoring.create_faq(key, locale="en", text=text, author=None, publish=True)
    indexing.refresh_index(embedder=default_embedder())


def test_two_questions_are_answered_by_a_real_model(
    alice: Customer,
    knowledge: None,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: object,
) -> None:
    monkeypatch.setattr(runtime, "_engine", engine)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        accepted = post(alice, "How long does delivery take? And where do I find the bill?")
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        tasks.write_reply(generation_of(accepted).pk)
    generation, reply = generation_of(accepted), message(accepted)
    assert (generation.status, reply.status, generation.decision) == ("done", "complete", "compose")
    assert generation.model_version.startswith("qwen2.5-coder-0.5b") and generation.completion_tokens > 0
    assert "3" in reply.text and {citation.key for citation in reply.citations.all()} <= set(FAQS)
    entries = runtime.valkey().xrange(f"conversation:{accepted.conversation.id}")
    frames = [SERVER_FRAMES.validate_json(fields[b"frame"]) for _, fields in entries]
    assert any(isinstance(frame, ReplyProgress) for frame in frames)
    assert isinstance(frames[-1], MessageChanged) and frames[-1].message.text == reply.text
