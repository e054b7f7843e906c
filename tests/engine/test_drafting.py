from __future__ import annotations

from chatbot.engine.drafting import draft_tokens, verified_tokens


def test_continues_the_latest_place_that_ends_alike() -> None:
    assert draft_tokens([1, 2, 3, 4, 9, 1, 2, 5, 6, 8, 1, 2], limit=3) == [5, 6, 8]


def test_a_longer_match_wins_over_a_later_one() -> None:
    assert draft_tokens([7, 1, 2, 3, 4, 1, 2, 5, 7, 1, 2], limit=2) == [3, 4]


def test_short_matches_are_trusted_less() -> None:
    assert draft_tokens([1, 2, 3, 4, 5, 6, 1], limit=9) == [2, 3, 4]
    assert draft_tokens([*range(20), 0, 1, 2, 3], limit=9) == list(range(4, 13))


def test_guesses_nothing_without_a_match_or_room() -> None:
    assert draft_tokens([1, 2, 3, 4], limit=4) == []
    assert draft_tokens([1, 2, 3, 1, 2], limit=0) == []
    assert draft_tokens([], limit=4) == []


def test_verified_is_the_models_choice_up_to_the_first_miss() -> None:
    assert verified_tokens([5, 6, 7], [5, 6, 8, 1]) == [5, 6, 8]
    assert verified_tokens([5, 6], [5, 6, 9]) == [5, 6, 9]
    assert verified_tokens([5], [4, 9]) == [4]
    assert verified_tokens([], [3]) == [3]
