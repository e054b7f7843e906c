"""Related FAQs: alike in content, or told in the same conversations; never another language, a draft or the FAQ itself."""

from __future__ import annotations

from django.core.cache import cache
from django.test import Client

from chatbot.assist.evaluating import of_related
from chatbot.conversations.models import Citation, Customer, Message
from chatbot.insights.related import fused, related, told_together
from chatbot.knowledge.models import Faq
from tests.assist.conftest import words as words  # the shop
from tests.assist.talks import talk
from tests.knowledge.conftest import WordEmbedder


def _told(customer: Customer, *keys: str) -> None:
    """A conversation in which these FAQs answered, in this order."""
    conversation = talk(customer, *(line for key in keys for line in (f"c: {key}?", f"b: about {key}")))
    for reply, key in zip(conversation.messages.filter(role=Message.Role.ASSISTANT).order_by("seq"), keys, strict=True):
        Citation.objects.create(
            message=reply, number=1, key=key, title=key, revision=1, faq=Faq.objects.get(key=key, locale="en")
        )


def test_content_first_then_what_others_read_next(words: WordEmbedder, alice: Customer, client: Client) -> None:
    here = Faq.objects.get(key="returns", locale="en")
    by_content = [faq.key for faq in related(here, limit=20)]
    assert "returns" not in by_content and len(by_content) == Faq.objects.filter(locale="en").count() - 1
    last = Faq.objects.get(key=by_content[-1], locale="en")
    _told(alice, "returns", last.key)
    assert told_together(here.pk) == []  # one conversation says nothing
    _told(alice, last.key, "returns")
    assert told_together(here.pk) == [last.pk]
    assert [faq.key for faq in related(here, limit=20)] == by_content  # counted once in ten minutes
    cache.clear()
    assert [faq.key for faq in related(here)][0] == last.key
    page = client.get("/help/returns/").content.decode()
    assert f'href="/help/{last.key}/"' in page and page.count("help-related") == 1
    Faq.objects.filter(pk=last.pk).update(status="draft")
    assert last.key not in client.get("/help/returns/").content.decode()


def test_ranks_are_added() -> None:
    assert fused([[1, 2], [3, 1]]) == [1, 3, 2]
    assert fused([[], []]) == []


def test_the_evaluation_counts_only_what_came_later(words: WordEmbedder, alice: Customer) -> None:
    for _ in range(10):
        _told(alice, "returns", "delivery")
    found = of_related()
    assert found.pairs == 4 and found.together == 1.0  # of the last fifth, both ways
    assert 0 <= found.content <= 1 and 0 <= found.fused <= 1 and found.commonest == 1.0
