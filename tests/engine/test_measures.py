from __future__ import annotations

import pytest

from chatbot.engine.measures import LONGEST_RETRY_S, AnswerTime, Pace


def test_pace_is_that_of_the_last_seconds_of_work() -> None:
    pace = Pace(window_s=2.0)
    assert (pace.steps_per_s, pace.rows_per_step) == (0.0, 0.0)
    for _ in range(10):
        pace.add(step_s=1.0, rows=100)
    for _ in range(20):
        pace.add(step_s=0.1, rows=4)
    assert pace.steps_total == 30
    assert pace.steps_per_s == pytest.approx(10.0)
    assert pace.rows_per_step == pytest.approx(4.0)


def test_pace_keeps_no_more_steps_than_it_needs() -> None:
    pace = Pace(window_s=1.0)
    for _ in range(1000):
        pace.add(step_s=0.25, rows=1)
    assert len(pace._steps) <= 5


def test_who_is_refused_is_told_when_those_before_him_will_have_been_let_in() -> None:
    answers = AnswerTime()
    for answer_s in (8.0, 8.0, 8.0):
        answers.add(answer_s)
    assert answers.retry_after_s(places_ahead=6, places=2) == pytest.approx(24.0)
    assert answers.retry_after_s(places_ahead=1, places=16) == 1.0
    assert answers.retry_after_s(places_ahead=999, places=1) == LONGEST_RETRY_S


def test_answer_time_follows_the_last_answers() -> None:
    answers = AnswerTime()
    answers.add(2.0)
    assert answers.mean_s == pytest.approx(2.0)
    for _ in range(20):
        answers.add(6.0)
    assert 5.5 < answers.mean_s <= 6.0
