"""Search over real PostgreSQL with the packaged embedder."""

import json
from collections.abc import Callable

import pytest

from chatbot.engine.embedder import default_embedder
from chatbot.knowledge import retrieval
from chatbot.knowledge.authoring import archive_faq, create_faq, edit_faq, publish_faq
from chatbot.knowledge.content import FaqText
from chatbot.knowledge.importing import import_faqs
from chatbot.knowledge.indexing import refresh_index
from chatbot.knowledge.models import Faq
from chatbot.knowledge.tasks import refresh_index as refresh_task
from tests.knowledge.conftest import SHOP

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(db: None) -> None:
    import_faqs("\n".join(json.dumps(faq) for faq in SHOP).encode(), format="jsonl", author=None, enqueue=False)
    refresh_index(embedder=default_embedder())


def test_a_question_finds_its_faq_in_the_askers_language(shop: None) -> None:
    english = retrieval.search("can I send the shoes back", locale="en")
    chinese = retrieval.search("衣服不合身可以退吗", locale="zh-hans")
    assert (english.matches[0].key, english.matches[0].locale) == ("returns", "en")
    assert (chinese.matches[0].key, chinese.matches[0].locale) == ("returns", "zh-hans")
    assert chinese.matches[0].answer == "请在 **30 天**内寄回。"


def test_a_key_without_the_askers_language_comes_in_english(shop: None) -> None:
    assert retrieval.search("你们几点开门？", locale="zh-hans").matches[0].locale == "en"


def test_an_unrelated_question_is_less_sure(shop: None) -> None:
    related = retrieval.search("when do you open", locale="en").confidence
    assert related > 0.5 > retrieval.search("who won the chess world championship", locale="en").confidence


def test_a_search_costs_two_queries(shop: None, django_assert_num_queries: Callable[..., object]) -> None:
    retrieval.search("return", locale="en")
    with django_assert_num_queries(2):
        retrieval.search("how can I return a jacket", locale="en")


def test_publishing_makes_a_faq_answerable_before_calibration(shop: None) -> None:
    text = FaqText(question="Do you repair electric bicycles?", answer="Yes.", phrasings=["e-bike repair", "fix my e-bike motor"])
    faq = create_faq("e-bike-repair", locale="en", text=text, author=None)
    refresh_task()
    assert "e-bike-repair" not in [match.key for match in retrieval.search("repair of an e-bike", locale="en").matches]
    publish_faq(faq.pk, author=None)
    refresh_index(embedder=default_embedder(), calibrate=False)
    found = retrieval.search("repair of an e-bike", locale="en")
    assert found.matches[0].key == "e-bike-repair"
    refresh_task()
    assert retrieval.search("repair of an e-bike", locale="en").matches[0].key == "e-bike-repair"


def test_an_edited_answer_is_quoted_at_once(shop: None) -> None:
    faq = Faq.objects.get(key="hours")
    edit_faq(faq.pk, text=FaqText(question=faq.question, answer="Closed."), expected_revision=1, author=None)
    first = retrieval.search("when are the stores open", locale="en").matches[0]
    assert (first.answer, first.revision) == ("Closed.", 2)


def test_an_archived_faq_is_gone_before_the_index_knows(shop: None) -> None:
    assert retrieval.search("when are the stores open", locale="en").matches[0].key == "hours"
    archive_faq(Faq.objects.get(key="hours").pk, author=None)
    found = retrieval.search("when are the stores open", locale="en")
    assert "hours" not in [match.key for match in found.matches]
    assert found.confidence == 0.0


def test_an_empty_knowledge_base_finds_nothing() -> None:
    found = retrieval.search("where is my order", locale="en")
    assert (found.matches, found.confidence) == ((), 0.0)


def test_a_follow_up_is_read_with_the_question_before(shop: None) -> None:
    found = retrieval.search("and on a public holiday?", locale="en", context=["When are the stores open?"])
    assert found.matches[0].key == "hours"
    assert found.timings_ms["total"] > 0
