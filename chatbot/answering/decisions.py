"""How a question is answered, from one number: the probability that the first entry found is right."""

from __future__ import annotations

from typing import Literal

from chatbot.knowledge.confidence import CLARIFY_AT, COMPOSE_AT, DIRECT_AT

Decision = Literal["direct", "compose", "clarify", "handoff"]


def decide(confidence: float) -> Decision:
    """Choose the published answer, a composed one, a question back, or a person."""
    if confidence >= DIRECT_AT:
        return "direct"
    if confidence >= COMPOSE_AT:
        return "compose"
    return "clarify" if confidence >= CLARIFY_AT else "handoff"
