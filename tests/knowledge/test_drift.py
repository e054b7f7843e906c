import numpy as np
import pytest

from chatbot.knowledge.confidence import histogram_of
from chatbot.knowledge.drift import MIN_QUESTIONS, drift_of

USUAL = np.random.default_rng(2).beta(4, 1, size=2000)
EXPECTED = histogram_of(USUAL)


def test_the_usual_questions_raise_no_alarm() -> None:
    drift = drift_of(list(USUAL[:500]), expected=EXPECTED)
    assert drift.index is not None and drift.index < 0.1 and not drift.alarm


def test_other_questions_raise_the_alarm() -> None:
    drift = drift_of(list(1 - USUAL[:500]), expected=EXPECTED)
    assert drift.index is not None and drift.index > 1 and drift.alarm
    assert drift.questions == 500


@pytest.mark.parametrize(
    ("confidences", "expected"), [([0.1] * (MIN_QUESTIONS - 1), EXPECTED), ([0.1] * 500, None), ([], EXPECTED)]
)
def test_too_little_to_compare_is_no_drift(confidences: list[float], expected: tuple[float, ...] | None) -> None:
    drift = drift_of(confidences, expected=expected)
    assert drift.index is None and not drift.alarm


def test_confidences_in_one_tenth_give_a_number() -> None:
    drift = drift_of([1.0] * MIN_QUESTIONS, expected=EXPECTED)
    assert drift.index is not None and np.isfinite(drift.index)
