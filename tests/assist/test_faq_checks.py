from __future__ import annotations

import pytest

from chatbot.assist.faq_checks import Difference, Draft, check, differing_facts
from chatbot.knowledge.models import Faq
from tests.knowledge.conftest import WordEmbedder


def test_a_near_duplicate_is_named_with_what_it_states_differently(words: WordEmbedder) -> None:
    draft = Draft("give-back", "en", "How do I return an item?", "Within **14 days**.", ("send something back",))
    found = check(draft, embedder=words)
    assert [(near.key, near.locale, near.duplicate) for near in found] == [("returns", "en", True)]
    assert found[0].differences == (Difference("quantity", ("14 days",), ("30 days",)),)
    assert found[0].faq_id == Faq.objects.get(key="returns", locale="en").pk and found[0].likeness > 0.99


def test_a_faq_is_no_duplicate_of_itself(words: WordEmbedder) -> None:
    own = Draft("returns", "en", "How do I return an item?", "Send it back within 30 days.", ("send something back",))
    assert check(own, embedder=words) == []


def test_another_topic_is_not_near(words: WordEmbedder) -> None:
    assert check(Draft("mugs", "en", "Do you sell purple teapots?", "Yes, 3 of them."), embedder=words) == []


def test_a_translation_with_another_number_is_told(words: WordEmbedder) -> None:
    found = check(Draft("returns", "en", "How do I return an item?", "Send it back within 60 days."), embedder=words)
    assert [(near.locale, near.translation) for near in found] == [("zh-hans", True)]
    assert found[0].differences[0].here == ("60 days",) and "30" in found[0].differences[0].there[0]


def test_nothing_typed_finds_nothing(words: WordEmbedder) -> None:
    assert check(Draft("", "en", " ", ""), embedder=words) == []


@pytest.mark.parametrize(
    ("here", "there", "kinds"),
    [
        ("It takes 3 days.", "It takes three days.", []),
        ("Within 30 days.", "三十天内。", []),
        ("It costs S$5.", "It costs S$6.", ["money"]),
        ("Open until 17:00.", "Open until 5 pm.", []),
        ("Open until 17:00.", "Open until 6 pm.", ["time"]),
        ("30 days, 5 kg", "30 days, 6 kg", ["quantity"]),
        ("20 % off", "No sale.", []),
    ],
)
def test_facts_are_compared_by_value(here: str, there: str, kinds: list[str]) -> None:
    assert [difference.kind for difference in differing_facts(here, there)] == kinds


def test_what_only_one_language_says_is_told_for_translations() -> None:
    assert differing_facts("20 % off", "打折", both_ways=True) == (Difference("percent", ("20 %",), ()),)
