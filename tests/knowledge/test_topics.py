"""Fifty hotels that all answer the same three questions: only what was said before tells which one is meant."""

import pytest

from chatbot.knowledge.search_index import SearchIndex
from tests.knowledge.conftest import SHOP, WordEmbedder

PLACES = [
    "Gonville Hotel",
    "Arbury Lodge",
    "Hamilton Guest House",
    "Worth House",
    "Avalon Inn",
    "Cityroomz Cambridge",
    "El Shaddai",
]
ASKED = ["Is there parking for guests?", "Are pets allowed in the rooms?", "Does breakfast cost extra?"]
FAQS = [
    {"key": f"{place}-{number}".replace(" ", "-"), "category": place, "question": question, "phrasings": []}
    for place in PLACES
    for number, question in enumerate(ASKED)
]


@pytest.fixture
def hotels(words: WordEmbedder) -> SearchIndex:
    return SearchIndex.from_faqs(FAQS, words)


@pytest.mark.parametrize("place", ["Gonville Hotel", "El Shaddai", "Worth House"])
def test_the_place_that_was_named_answers(hotels: SearchIndex, place: str) -> None:
    said = ["I need a room", f"The {place} has one free.", "good"]
    found = hotels.search("is there parking for guests", said=said)
    assert found.hits[0].key == f"{place}-0".replace(" ", "-")


def test_a_misspelt_name_is_heard(hotels: SearchIndex) -> None:
    assert hotels.search("are pets allowed", said=["what about the gonvile hotel"]).hits[0].key == "Gonville-Hotel-1"


def test_the_place_named_last_counts(hotels: SearchIndex) -> None:
    found = hotels.search("does breakfast cost extra", said=["Avalon Inn is nice", "or take the Arbury Lodge"])
    assert found.hits[0].key == "Arbury-Lodge-2"


def test_a_named_place_makes_the_search_surer(hotels: SearchIndex) -> None:
    alone = hotels.search("is there parking for guests")
    assert hotels.search("is there parking for guests", said=["the Avalon Inn please"]).confidence > alone.confidence


def test_categories_of_unlike_questions_change_nothing(words: WordEmbedder) -> None:
    index = SearchIndex.from_faqs(SHOP, words)
    assert index.search("opening hours", said=["Delivery"]).hits == index.search("opening hours").hits
