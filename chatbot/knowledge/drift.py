"""Do customers' questions still look like what the confidence was calibrated for? Pure.

The population stability index compares two histograms: below 0.1 they are alike, from 0.25 on the decisions rest on another kind
of question than the calibration saw (Siddiqi 2006). It says "look", not "wrong": new topics, a new channel, or FAQs that went.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chatbot.knowledge.confidence import histogram_of

ALARM_AT = 0.25
MIN_QUESTIONS = 200
# A tenth that nobody falls into would make the index infinite.
_FLOOR = 0.005


@dataclass(frozen=True)
class Drift:
    """index: the population stability index, None without a calibration or with fewer than MIN_QUESTIONS questions."""

    questions: int
    index: float | None

    @property
    def alarm(self) -> bool:
        return self.index is not None and self.index >= ALARM_AT


def drift_of(confidences: Sequence[float], *, expected: Sequence[float] | None) -> Drift:
    """Compare live confidences with the calibration's histogram."""
    if expected is None or len(confidences) < MIN_QUESTIONS:
        return Drift(questions=len(confidences), index=None)
    now = np.maximum(np.array(histogram_of(np.array(confidences))), _FLOOR)
    then = np.maximum(np.array(expected), _FLOOR)
    now, then = now / now.sum(), then / then.sum()
    return Drift(questions=len(confidences), index=float(np.sum((now - then) * np.log(now / then))))
