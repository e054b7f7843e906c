import pytest

from chatbot.knowledge.search_index import Hit, SearchIndex
from tests.knowledge.conftest import SHOP, WordEmbedder


@pytest.fixture
def index(words: WordEmbedder) -> SearchIndex:
    return SearchIndex.from_faqs(SHOP, words)


def test_locales_of_one_key_are_one_entry(index: SearchIndex) -> None:
    assert index.keys == ["returns", "delivery", "hours"]


@pytest.mark.parametrize(
    ("text", "key"), [("return my order", "returns"), ("我要退货", "returns"), ("parcel arrive when", "delivery")]
)
def test_the_right_entry_comes_first(index: SearchIndex, text: str, key: str) -> None:
    found = index.search(text)
    assert found.hits[0].key == key
    assert [hit.score for hit in found.hits] == sorted((hit.score for hit in found.hits), reverse=True)


def test_a_known_question_is_surer_than_a_strange_one(index: SearchIndex) -> None:
    assert index.search("opening hours").confidence > index.search("quantum chromodynamics lecture").confidence


@pytest.mark.parametrize("text", ["", "???", "😀😀", "\x00"])
def test_a_text_without_words_finds_nothing(index: SearchIndex, text: str) -> None:
    found = index.search(text)
    assert found.hits == () and found.confidence == 0.0


def test_an_empty_base_finds_nothing(words: WordEmbedder) -> None:
    found = SearchIndex.from_faqs([], words).search("where is my order")
    assert found.hits == () and found.confidence == 0.0


def test_limit_is_kept(index: SearchIndex) -> None:
    assert len(index.search("return", limit=2).hits) == 2


def test_a_sure_question_ignores_the_context(index: SearchIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatbot.knowledge.search_index.CONTEXT_BELOW", 0.0)
    alone = index.search("opening hours")
    assert index.search("opening hours", context=["return my jacket"]).hits == alone.hits


def test_a_weak_question_is_read_with_what_was_said_last(index: SearchIndex) -> None:
    alone = index.search("and what about it")
    found = index.search("and what about it", context=["parcel shipping", "opening hours"])
    assert (alone.form, found.form) == ("alone", "in_context")

    def lead_of_hours(hits: tuple[Hit, ...]) -> float:
        scores = {hit.key: hit.score for hit in hits}
        return scores["hours"] - scores["delivery"]

    assert lead_of_hours(found.hits) > lead_of_hours(alone.hits)


def test_timings_name_the_steps(index: SearchIndex) -> None:
    assert set(index.search("opening hours").timings_ms) == {"embed", "rank"}
