"""Figures that the passages state, but of something else."""

from __future__ import annotations

import pytest

from chatbot.answering.attachment import Attachments
from chatbot.answering.grounding import Checker

DELIVERY = "Standard delivery takes 3 working days and costs S$4.90; express delivery takes 1 day and costs S$9.90."
WARRANTY = "Frames: 5 years. Batteries: 2 years."
SIZES = "Which frame size do I need?\n- 150–160 cm: XS\n- 160–168 cm: S\n- 168–176 cm: M"


@pytest.mark.parametrize(
    ("passage", "sentence"),
    [
        (DELIVERY, "Standard delivery takes 1 day."),
        (DELIVERY, "Express delivery takes 3 working days."),
        (WARRANTY, "The batteries have 5 years."),
        (SIZES, "For 165 cm you need size M."),
        ("配送到新加坡需要 3 天，配送到马来西亚需要 7 天。", "配送到马来西亚需要 3 天。"),
    ],
)
def test_figures_of_another_thing_are_caught(passage: str, sentence: str) -> None:
    assert list(Attachments([passage]).misattached(sentence))
    reasons = Checker([passage], customer=["165 cm?"], asked="165 cm?").check(sentence).reasons
    assert any(reason.startswith("misplaced:") for reason in reasons)


@pytest.mark.parametrize(
    ("passage", "sentence"),
    [
        (DELIVERY, "Standard delivery takes 3 working days and costs S$4.90, express takes 1 day."),
        (DELIVERY, "It takes 1 day if you choose express delivery."),
        (DELIVERY, "The price is S$9.90."),
        (WARRANTY, "Batteries have a warranty of 2 years."),
        (SIZES, "At 165 cm, size S fits."),
        (SIZES, "At 168 cm you are between S and M."),
        (SIZES, "M fits from 168 cm."),
    ],
)
def test_the_right_figure_in_other_words_is_left_alone(passage: str, sentence: str) -> None:
    assert not list(Attachments([passage]).misattached(sentence))
