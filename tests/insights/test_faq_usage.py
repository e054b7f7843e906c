from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from chatbot.conversations.models import Citation, Conversation, Customer, Generation, Message
from chatbot.insights.faq_usage import FaqUsage, most_used_first, never_used, usage_of
from chatbot.knowledge.authoring import create_faq
from chatbot.knowledge.content import FaqText
from chatbot.knowledge.models import Faq
from chatbot.learning.models import Feedback

pytestmark = pytest.mark.django_db


@pytest.fixture
def faqs() -> list[Faq]:
    return [create_faq(key, locale="en", text=FaqText(question="Q?", answer="A."), author=None) for key in ("a", "b", "c")]


def _answer(customer: Customer, faq: Faq, *, ranked: list[str], rating: int = 0, days_ago: int = 0) -> Message:
    conversation = Conversation.objects.create(customer=customer)
    reply = Message.objects.create(conversation=conversation, seq=1, role="assistant")
    Message.objects.filter(pk=reply.pk).update(created_at=timezone.now() - timedelta(days=days_ago))
    trace = {"ranked": [{"key": key, "locale": "en", "score": 1.0} for key in ranked]}
    generation = Generation.objects.create(
        conversation=conversation, reply=reply, status="done", finished_at=timezone.now(), trace=trace
    )
    Citation.objects.create(message=reply, number=1, faq=faq, revision=1, key=faq.key, title=faq.question)
    if rating:
        Feedback.objects.create(generation=generation, message=reply, rating=rating)
    return reply


def test_use_is_counted_from_answers(alice: Customer, faqs: list[Faq], django_assert_num_queries: DjangoAssertNumQueries) -> None:
    a, b, c = faqs
    _answer(alice, a, ranked=["a", "b"], rating=1)
    _answer(alice, a, ranked=["a"], rating=-1)
    old = _answer(alice, b, ranked=["b"], rating=1, days_ago=100)
    old.refresh_from_db()
    with django_assert_num_queries(2):
        usage = usage_of(faqs)
    assert (usage[a.pk].found, usage[a.pk].used, usage[a.pk].up, usage[a.pk].down) == (2, 2, 1, 1)
    assert usage[b.pk] == FaqUsage(found=2, used=0, up=0, down=0, last_used=old.created_at)
    assert usage[c.pk] == FaqUsage()


def test_never_used_and_most_used(alice: Customer, faqs: list[Faq]) -> None:
    a, b, c = faqs
    _answer(alice, b, ranked=[])
    _answer(alice, b, ranked=[])
    _answer(alice, a, ranked=[], days_ago=91)
    _answer(alice, c, ranked=[])
    assert list(never_used(Faq.objects.all())) == [a]
    assert [faq.key for faq in most_used_first(Faq.objects.all())] == ["b", "c", "a"]


def test_answers_without_a_ranking_are_no_obstacle(alice: Customer, faqs: list[Faq]) -> None:
    reply = _answer(alice, faqs[0], ranked=[])
    Generation.objects.filter(reply=reply).update(trace={"ranked": "odd"})
    assert usage_of(faqs)[faqs[0].pk].found == 0
