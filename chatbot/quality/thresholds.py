"""Other limits between quoting, composing, asking back and handing off, tried without touching the live ones.

The pipeline knows its own limits only. So the search in front of it bends the confidence: what would reach another limit reaches
the live one, and the pipeline decides as it would with the other limits, follow-ups and all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from chatbot.answering.answers import Search
from chatbot.documents.search import Ranking
from chatbot.errors import InvalidInput
from chatbot.knowledge.confidence import CLARIFY_AT, COMPOSE_AT, DIRECT_AT


@dataclass(frozen=True)
class Thresholds:
    direct_at: float
    compose_at: float
    clarify_at: float

    def __post_init__(self) -> None:
        if not 0 < self.clarify_at < self.compose_at < self.direct_at < 1:
            raise InvalidInput(
                "The limits must rise from asking back over composing to quoting, between 0 and 1.", field="direct_at"
            )

    def as_json(self) -> dict[str, float]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Thresholds:
        return cls(float(values["direct_at"]), float(values["compose_at"]), float(values["clarify_at"]))


def live_thresholds() -> Thresholds:
    return Thresholds(direct_at=DIRECT_AT, compose_at=COMPOSE_AT, clarify_at=CLARIFY_AT)


def with_thresholds(search: Search, wanted: Thresholds) -> Search:
    """The same search, whose confidence makes the pipeline decide by `wanted`."""
    live = live_thresholds()
    here = (0.0, wanted.clarify_at, wanted.compose_at, wanted.direct_at, 1.0)
    there = (0.0, live.clarify_at, live.compose_at, live.direct_at, 1.0)

    def bent(text: str, *, locale: str, limit: int = 5, context: Sequence[str] = (), said: Sequence[str] = ()) -> Ranking:
        found = search(text, locale=locale, limit=limit, context=context, said=said)
        return Ranking(tuple(found.matches), float(np.interp(found.confidence, here, there)), found.form, found.timings_ms)

    return bent
