from __future__ import annotations

import pytest

from chatbot.answering.support import best_support, statements_of, turned_round

PASSAGES = [
    "Frames have a warranty of 5 years. Batteries have a warranty of 2 years. A cover letter is not needed.",
    "周一至周五营业。礼品卡有效期为 18 个月。",
]
STATEMENTS = statements_of(PASSAGES)


@pytest.mark.parametrize(
    ("sentence", "quote"),
    [
        ("The warranty on a frame is 5 years.", "Frames have a warranty of 5 years."),
        ("2 years for batteries.", "Batteries have a warranty of 2 years."),
        ("礼品卡 18 个月内有效。", "礼品卡有效期为 18 个月。"),
        ("Gift cards last for 18 months.", "礼品卡有效期为 18 个月。"),
    ],
)
def test_the_statement_behind_a_sentence_is_found(sentence: str, quote: str) -> None:
    found = best_support(sentence, STATEMENTS)
    assert found is not None and found.statement.text == quote


def test_search_stays_within_the_cited_passage() -> None:
    found = best_support("warranty of 5 years", STATEMENTS, passage=1)
    assert found is None or found.statement.passage == 1


def test_nothing_shared_is_no_support() -> None:
    assert best_support("Ahoy matey", STATEMENTS) is None


@pytest.mark.parametrize(
    ("sentence", "turned"),
    [
        ("A cover letter is needed.", True),
        ("A cover letter is not needed.", False),
        ("No cover letter is needed.", False),
        ("Batteries do not have a warranty of 2 years.", True),
        ("You need no letter.", False),
    ],
)
def test_denied_statement_is_noticed(sentence: str, turned: bool) -> None:
    assert turned_round(sentence, best_support(sentence, STATEMENTS)) is turned
