"""Outside of its dates a FAQ does not answer, and the index follows the clock."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from chatbot.errors import NotFound
from chatbot.knowledge import access, indexing, tasks
from chatbot.knowledge.authoring import create_faq
from chatbot.knowledge.content import FaqTerms, FaqText
from chatbot.knowledge.models import Faq, KnowledgeIndex, Phrasing
from tests.knowledge.conftest import WordEmbedder

pytestmark = pytest.mark.django_db
TEXT = FaqText(question="Is there a sale?", answer="Yes, 20 % off.")
DAY = timedelta(days=1)


def _faq(key: str, *, begins: timedelta | None = None, ends: timedelta | None = None) -> Faq:
    now = timezone.now()
    terms = FaqTerms(valid_from=now + begins if begins else None, valid_until=now + ends if ends else None)
    return create_faq(key, locale="en", text=TEXT, terms=terms, author=None, publish=True)


def test_only_what_is_valid_now_answers() -> None:
    for key, begins, ends in (("always", None, None), ("now", -DAY, DAY), ("planned", DAY, None), ("over", -2 * DAY, -DAY)):
        _faq(key, begins=begins, ends=ends)
    assert set(access.answering_faqs().values_list("key", flat=True)) == {"always", "now"}
    with pytest.raises(NotFound):
        access.access_published_faq("over", locale="en")
    for attention, key in (("planned", "planned"), ("expired", "over"), ("expiring", "now")):
        assert [faq.key for faq in access.faqs_for_staff(attention=attention)] == [key]


def test_the_index_holds_only_what_is_valid_and_follows_the_clock(words: WordEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    faq = _faq("sale", ends=DAY)
    indexing.refresh_index(embedder=words)
    assert Phrasing.objects.filter(faq=faq).count() == 1
    refreshed: list[str] = []

    def refresh() -> None:
        refreshed.append("refresh")
        indexing.refresh_index(embedder=words)

    monkeypatch.setattr(tasks, "_refresh", refresh)
    tasks.follow_validity()
    assert refreshed == []
    Faq.objects.update(valid_until=timezone.now())
    tasks.follow_validity()
    assert refreshed == ["refresh"] and not Phrasing.objects.exists()
    tasks.follow_validity()
    assert refreshed == ["refresh"] and KnowledgeIndex.objects.get().version > 1
