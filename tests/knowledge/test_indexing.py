import json
import time
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from chatbot.knowledge import indexing, retrieval
from chatbot.knowledge.authoring import add_phrasing, archive_faq, publish_faq
from chatbot.knowledge.importing import import_faqs
from chatbot.knowledge.indexing import (
    calibrate_index,
    is_calibrated,
    load_search_index,
    refresh_index,
    serving_embedder,
)
from chatbot.knowledge.models import Faq, FaqStatus, KnowledgeIndex, Phrasing
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


def test_calibration_is_due_until_it_is_done_and_after_every_change(shop: None, words: WordEmbedder) -> None:
    refresh_index(embedder=words, calibrate=False)
    assert not is_calibrated(embedder=words)
    assert calibrate_index(embedder=words) is not None and is_calibrated(embedder=words)
    assert calibrate_index(embedder=words) is None
    add_phrasing(Faq.objects.get(key="hours").pk, phrasing="closing time", author=None)
    assert not is_calibrated(embedder=words)


def test_another_error_budget_asks_for_another_calibration(shop: None, words: WordEmbedder, settings: Any) -> None:
    refresh_index(embedder=words)
    settings.ANSWER_ERROR_BUDGET = 0.1
    assert not is_calibrated(embedder=words)


def test_a_calibration_of_an_older_release_is_made_anew(shop: None, words: WordEmbedder) -> None:
    refresh_index(embedder=words)
    state = KnowledgeIndex.objects.get()
    state.calibration = {"answered": {}, "first": {}}
    assert load_search_index(words, state=state).search("opening hours").hits[0].key == "hours"


@pytest.fixture
def two_embedders(monkeypatch: pytest.MonkeyPatch, settings: Any) -> dict[str, WordEmbedder]:
    """EMBEDDER=yesterday; another one exists and can be set."""
    known = {"yesterday": WordEmbedder("words/1"), "today": WordEmbedder("words/2")}
    monkeypatch.setattr(indexing, "embedder_from", known.__getitem__)
    monkeypatch.setattr(indexing, "default_embedder", lambda: known[settings.EMBEDDER])
    settings.EMBEDDER = "yesterday"
    return known


def test_yesterdays_vectors_serve_until_todays_are_complete(
    shop: None, two_embedders: dict[str, WordEmbedder], settings: Any
) -> None:
    refresh_index(embedder=two_embedders["yesterday"])
    settings.EMBEDDER = "today"
    state = KnowledgeIndex.objects.get()
    assert serving_embedder(state) is two_embedders["yesterday"]
    indexing._embed_missing(two_embedders["today"], progress=None)
    refresh_index(embedder=serving_embedder(state))
    assert Phrasing.objects.filter(embedder="words/2").count() == 19
    assert retrieval.search("opening hours", locale="en").matches[0].key == "hours"
    refresh_index(embedder=two_embedders["today"])
    state = KnowledgeIndex.objects.get()
    assert (state.embedder, state.embedder_source) == ("words/2", "today")
    assert serving_embedder(state) is two_embedders["today"]
    assert set(Phrasing.objects.values_list("embedder", flat=True)) == {"words/2"}


def many(number: int) -> list[Faq]:
    return Faq.objects.bulk_create(
        Faq(key=f"part-{n}", locale="en", question=f"Do you sell part number{n} of kind{n % 7}?", answer="Yes.",
            phrasings=[f"number{n} kind{n % 7}", f"buy number{n}", f"price of number{n}"],
            status=FaqStatus.PUBLISHED, published_at=timezone.now())
        for n in range(number)
    )  # fmt: skip


def test_a_large_index_is_changed_and_equals_one_built_anew(words: WordEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_CARRY_FROM", 100)
    monkeypatch.setattr(indexing, "_CARRY_SHARE", 0.05)
    faqs = many(100)
    refresh_index(embedder=words)
    state = KnowledgeIndex.objects.get()
    before = load_search_index(words, state=state)
    add_phrasing(faqs[40].pk, phrasing="zebra part", author=None)
    archive_faq(faqs[50].pk, author=None)
    refresh_index(embedder=words, calibrate=False)
    after, anew = load_search_index(words, state=state, earlier=before), load_search_index(words, state=state)
    assert after.scorer.changes == 5 and anew.scorer.changes == 0
    assert after.keys == anew.keys and after.scorer.texts == anew.scorer.texts
    assert after.search("zebra part").hits[0].key == anew.search("zebra part").hits[0].key == "part-40"
    assert "part-50" not in after.keys
    same = [after.search(f"buy number{n}").hits[0].key == anew.search(f"buy number{n}").hits[0].key for n in range(0, 100, 7)]
    assert np.mean(same) > 0.9


def test_what_changed_much_is_built_anew(words: WordEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_CARRY_FROM", 10)
    many(30)
    refresh_index(embedder=words)
    before = load_search_index(words, state=None)
    for faq in Faq.objects.order_by("pk")[:10]:
        archive_faq(faq.pk, author=None)
    refresh_index(embedder=words, calibrate=False)
    assert load_search_index(words, state=None, earlier=before).scorer.changes == 0


def test_publish_to_answerable_takes_two_seconds_at_most(words: WordEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "default_embedder", lambda: words)
    many(1000)
    refresh_index(embedder=words)
    retrieval.search("buy number7", locale="en")
    faq = Faq.objects.create(key="zebra", locale="en", question="Do you groom zebras?", answer="Yes.")
    started = time.monotonic()
    publish_faq(faq.pk, author=None)
    refresh_index(embedder=words, calibrate=False)
    found = retrieval.search("zebra grooming", locale="en")
    assert found.matches[0].key == "zebra"
    assert time.monotonic() - started <= 2.0
