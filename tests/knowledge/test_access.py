import pytest

from chatbot.errors import NotFound
from chatbot.knowledge.access import access_faq_as_staff, access_published_faq, categories, faqs_for_staff, revisions_of
from chatbot.knowledge.authoring import create_faq
from chatbot.knowledge.content import FaqText
from chatbot.knowledge.models import Faq
from chatbot.knowledge.passages import best_locale

pytestmark = pytest.mark.django_db


def made(key: str, *, locale: str = "en", publish: bool = True, **words: str) -> Faq:
    text = FaqText(**{"question": f"{key} in {locale}?", "answer": "A.", **words})
    return create_faq(key, locale=locale, text=text, author=None, publish=publish)


@pytest.mark.parametrize(
    ("wanted", "found"), [("zh-hans", "zh-hans"), ("zh-hant", "zh-hans"), ("EN-gb", "en"), ("de", "en"), ("fr-ca", "fr")]
)
def test_readers_get_their_language_or_english(wanted: str, found: str) -> None:
    for locale in ("zh-hans", "en", "fr"):
        made("a", locale=locale)
    assert access_published_faq("a", locale=wanted).locale == found


def test_without_english_any_language_is_better_than_none() -> None:
    assert best_locale(["ja", "fr"], wanted="de") == "fr"


@pytest.mark.parametrize("key", ["draft", "unknown", "", "a\x00b", "../a"])
def test_the_public_finds_nothing_but_published_faqs(key: str) -> None:
    made("draft", publish=False)
    with pytest.raises(NotFound) as refused:
        access_published_faq(key, locale="en")
    assert refused.value.code == "faq_not_found"


def test_staff_find_drafts() -> None:
    faq = made("draft", publish=False)
    assert access_faq_as_staff(faq.pk) == faq
    assert [revision.number for revision in revisions_of(faq)] == [1]
    with pytest.raises(NotFound):
        access_faq_as_staff(faq.pk + 1)


def test_the_list_is_narrowed_by_each_filter() -> None:
    made("pay", category="Money", answer="By card or cash.")
    made("pay", locale="de", category="Money")
    made("ride", category="Bikes", publish=False)

    def keys(**filters: str) -> list[str]:
        return sorted(f"{faq.key}/{faq.locale}" for faq in faqs_for_staff(**filters))

    assert keys() == ["pay/de", "pay/en", "ride/en"]
    assert keys(text="CASH card") == ["pay/en"]
    assert keys(status="draft") == ["ride/en"]
    assert keys(locale="de") == ["pay/de"]
    assert keys(category="Bikes") == ["ride/en"]
    assert keys(text="50%\x00") == []
    assert categories() == ["Bikes", "Money"]
