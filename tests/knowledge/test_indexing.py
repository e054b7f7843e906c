import json

import pytest

from chatbot.knowledge.authoring import add_phrasing, archive_faq, publish_faq
from chatbot.knowledge.importing import import_faqs
from chatbot.knowledge.indexing import load_search_index, refresh_index
from chatbot.knowledge.models import Faq, KnowledgeIndex, Phrasing
from tests.knowledge.conftest import SHOP, WordEmbedder

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(db: None) -> None:
    import_faqs("\n".join(json.dumps(faq) for faq in SHOP).encode(), format="jsonl", author=None, enqueue=False)


def test_every_published_phrasing_is_embedded_once(shop: None, words: WordEmbedder) -> None:
    result = refresh_index(embedder=words)
    assert (result.faqs, result.phrasings, result.embedded, result.removed) == (4, 19, 19, 0)
    assert Phrasing.objects.count() == 19
    assert {text for _, text in Phrasing.objects.values_list("pk", "text")} == {
        text for faq in SHOP for text in [faq["question"], *faq["phrasings"]]
    }


def test_a_second_refresh_does_nothing(shop: None, words: WordEmbedder) -> None:
    first = refresh_index(embedder=words)
    words.embedded.clear()
    second = refresh_index(embedder=words)
    assert (second.version, second.embedded, second.removed) == (first.version, 0, 0)
    assert words.embedded == []


def test_only_a_new_phrasing_is_embedded(shop: None, words: WordEmbedder) -> None:
    before = refresh_index(embedder=words)
    words.embedded.clear()
    add_phrasing(Faq.objects.get(key="hours").pk, phrasing="closing time", author=None)
    after = refresh_index(embedder=words)
    assert words.embedded == ["closing time"]
    assert after.version > before.version


def test_an_archived_faq_loses_its_rows_and_gets_them_back(shop: None, words: WordEmbedder) -> None:
    refresh_index(embedder=words)
    hours = Faq.objects.get(key="hours")
    archive_faq(hours.pk, author=None)
    assert refresh_index(embedder=words).removed == 5
    assert "hours" not in load_search_index(words, state=None).keys
    publish_faq(hours.pk, author=None)
    assert refresh_index(embedder=words).embedded == 5


def test_another_embedder_replaces_all_rows_at_once(shop: None, words: WordEmbedder) -> None:
    refresh_index(embedder=words)
    other = WordEmbedder("words/2")
    result = refresh_index(embedder=other)
    assert (result.embedded, result.removed) == (19, 19)
    assert set(Phrasing.objects.values_list("embedder", flat=True)) == {"words/2"}
    assert KnowledgeIndex.objects.get().embedder == "words/2"


def test_the_stored_calibration_serves_its_own_embedder_only(shop: None, words: WordEmbedder) -> None:
    refresh_index(embedder=words)
    state = KnowledgeIndex.objects.get()
    assert state.calibration is not None
    state.calibration["shift"] = 0.125
    assert load_search_index(words, state=state).calibration.shift == 0.125
    state.embedder = "another"
    assert load_search_index(words, state=state).calibration.shift != 0.125


def test_stored_vectors_come_back_as_they_were(shop: None, words: WordEmbedder) -> None:
    refresh_index(embedder=words)
    stored = load_search_index(words, state=KnowledgeIndex.objects.get())
    fresh = load_search_index(words, state=None)
    assert stored.search("opening hours").hits == fresh.search("opening hours").hits


def test_progress_counts_to_the_end(shop: None, words: WordEmbedder) -> None:
    seen: list[tuple[int, int]] = []
    refresh_index(embedder=words, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(19, 19)]


def test_an_empty_knowledge_base_is_indexed(words: WordEmbedder) -> None:
    assert refresh_index(embedder=words).phrasings == 0
    assert load_search_index(words, state=None).search("anything").hits == ()


def test_there_is_one_state(words: WordEmbedder) -> None:
    refresh_index(embedder=words)
    refresh_index(embedder=words)
    assert KnowledgeIndex.objects.count() == 1
