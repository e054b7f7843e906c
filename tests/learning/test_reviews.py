"""The queue of answers worth a look, verdicts, second opinions and how far people agree."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from chatbot import runtime
from chatbot.conversations.models import ConversationEvent, Customer
from chatbot.errors import InvalidInput, NotFound
from chatbot.learning import reviews, worth_a_look
from chatbot.learning.agreement import agreement, agreement_of
from chatbot.learning.models import Feedback
from chatbot.learning.review_models import AnswerReview, ReviewItem
from chatbot.learning.reviews import Filters, Place
from support_portal.accounts.models import User
from tests.assist.talks import answered

pytestmark = pytest.mark.django_db
IS_SAMPLED = worth_a_look.is_sampled
WITHHELD = {"withheld": [{"sentence": "It costs 9 EUR.", "reasons": ["fact:money:9 EUR"]}]}


@pytest.fixture(autouse=True)
def no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worth_a_look, "is_sampled", lambda pk: False)


def _item(customer: Customer, question: str = "Where is it?", **fields: Any) -> ReviewItem:
    found = worth_a_look.add_message(answered(customer, question, "Here.", **fields).reply_id)
    assert found is not None
    return found


def test_what_is_worth_a_look_and_why(alice: Customer) -> None:
    fine = answered(alice, "a", "Fine.", trace={"support": [{"score": 0.9}]})
    withheld = answered(alice, "b", "Partly.", trace=WITHHELD)
    thin = answered(alice, "c", "Thin.", trace={"support": [{"score": 0.1}, {"score": 0.2}]})
    refused = answered(alice, "d", "I don't know.", decision="handoff", trace={"reason": "unknown", "language": "de"})
    answered(alice, "human please", "Of course.", decision="handoff", trace={"reason": "asked"})
    called = answered(alice, "e", "No.", decision="direct")
    ConversationEvent.objects.create(conversation=called.conversation, kind="asked")
    assert (worth_a_look.gather(), worth_a_look.gather()) == (4, 0)
    found = {item.generation_id: item.reasons for item in ReviewItem.objects.all()}
    assert found == {withheld.pk: ["unsupported"], thin.pk: ["low_support"], refused.pk: ["refused"], called.pk: ["handed_off"]}
    assert ReviewItem.objects.get(generation=refused).locale == "de"
    Feedback.objects.create(generation=withheld, message=withheld.reply, rating=-1)
    Feedback.objects.create(generation=fine, message=fine.reply, rating=-1)
    assert worth_a_look.gather() == 2
    item = ReviewItem.objects.get(generation=withheld)
    assert (item.reasons, item.weight) == (["rated_down", "unsupported"], 24)
    counted = {reason: count for reason, count in reviews.reasons_open(0).items() if count}
    assert counted == {"rated_down": 2, "unsupported": 1, "low_support": 1, "refused": 1, "handed_off": 1}


def test_what_ended_late_is_found_and_a_forgetful_valkey_does_no_harm(alice: Customer) -> None:
    late = answered(alice, "late", "", status="running", finished_at=None, lease_until=timezone.now())
    answered(alice, "b", "Partly.", trace=WITHHELD)
    worth_a_look.gather()
    type(late).objects.filter(pk=late.pk).update(status="done", finished_at=timezone.now(), trace=WITHHELD, lease_until=None)
    assert worth_a_look.gather() == 1
    runtime.valkey().flushdb()
    assert worth_a_look.gather() == 0 and ReviewItem.objects.count() == 2


def test_one_in_forty_is_sampled_whoever_asks() -> None:
    chosen = [pk for pk in range(1, 40_001) if IS_SAMPLED(pk)]
    assert 900 <= len(chosen) <= 1100 and len(chosen) == len([pk for pk in range(1, 40_001) if IS_SAMPLED(pk)])


def test_the_worst_comes_first_and_pages_end_where_they_say(alice: Customer, lena: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviews, "PAGE_ITEMS", 2)
    for weight in (1, 16, 4, 16, 8):
        ReviewItem.objects.filter(pk=_item(alice).pk).update(weight=weight)
    page, seen = reviews.items(Filters(), person_id=lena.pk), []
    while page:
        seen += [item.weight for item in page[:2]]
        page = reviews.items(Filters(), person_id=lena.pk, before=Place(page[1].weight, page[1].pk)) if len(page) > 2 else []
    assert seen == [16, 16, 8, 4, 1]


@pytest.mark.parametrize("text", ["", "x", "1", "1.", ".1", "-1.2", "1.2.3", "٣.1", "9" * 30 + ".1", "1.\x00"])
def test_a_broken_place_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Place.parse(text)


def test_a_verdict_takes_it_off_the_list_and_back(alice: Customer, lena: User, erin: User) -> None:
    item = _item(alice)
    reviews.mark(item.pk, person_id=lena.pk, verdict="wrong")
    assert reviews.items(Filters(), person_id=lena.pk) == reviews.items(Filters(), person_id=erin.pk) == []
    reviews.mark(item.pk, person_id=lena.pk, verdict="incomplete")
    assert AnswerReview.objects.get().verdict == "incomplete"
    assert [one.pk for one in reviews.items(Filters("judged", verdict="incomplete"), person_id=erin.pk)] == [item.pk]
    reviews.unmark(item.pk, person_id=lena.pk)
    assert [one.pk for one in reviews.items(Filters(), person_id=lena.pk)] == [item.pk]
    with pytest.raises(InvalidInput):
        reviews.mark(item.pk, person_id=lena.pk, verdict="splendid")
    with pytest.raises(NotFound):
        reviews.mark(10**9, person_id=lena.pk, verdict="right")


def test_a_second_opinion_is_given_without_seeing_the_first(alice: Customer, lena: User, erin: User, omar: User) -> None:
    item = _item(alice)
    reviews.mark(item.pk, person_id=lena.pk, verdict="wrong")
    assert reviews.ask(item.pk, people=[erin.pk, lena.pk], by_id=lena.pk) == 1
    assert reviews.ask(item.pk, people=[erin.pk], by_id=lena.pk) == 0
    assert [one.pk for one in reviews.items(Filters("asked"), person_id=erin.pk)] == [item.pk]
    assert [one.pk for one in reviews.items(Filters("open"), person_id=omar.pk)] == [item.pk]
    opened = reviews.open_item(item.pk, person_id=erin.pk)
    assert (list(opened.others), opened.others_given) == ([], 1)
    marked = reviews.mark(item.pk, person_id=erin.pk, verdict="right")
    assert [review.verdict for review in marked.others] == ["wrong"]
    assert [review.verdict for review in reviews.open_item(item.pk, person_id=erin.pk).others] == ["wrong"]
    assert reviews.counts(erin.pk) == {"open": 0, "asked": 0, "disagreed": 1}
    assert reviews.items(Filters(), person_id=omar.pk) == []
    for bad in ([], [1, 2, 3]):
        with pytest.raises(InvalidInput):
            reviews.ask(item.pk, people=bad, by_id=lena.pk)


def test_the_next_one_goes_on_down_the_list_and_round(alice: Customer, lena: User) -> None:
    first, second, third = (_item(alice) for _ in range(3))
    order = [item.pk for item in reviews.items(Filters(), person_id=lena.pk)]
    assert order == [third.pk, second.pk, first.pk]
    assert reviews.next_item(Filters(), person_id=lena.pk, after=second) == first.pk
    assert reviews.next_item(Filters(), person_id=lena.pk, after=first) == third.pk
    assert reviews.next_item(Filters("asked"), person_id=lena.pk, after=first) is None


def test_agreement_over_what_two_people_judged(alice: Customer, lena: User, erin: User, omar: User) -> None:
    verdicts = [("right", "right"), ("right", "right"), ("wrong", "wrong"), ("right", "wrong")]
    for first, second in verdicts:
        item = _item(alice)
        reviews.mark(item.pk, person_id=lena.pk, verdict=first)
        reviews.mark(item.pk, person_id=erin.pk, verdict=second)
    reviews.mark(ReviewItem.objects.latest("pk").pk, person_id=omar.pk, verdict="unsafe")  # A third one is not counted.
    reviews.mark(_item(alice).pk, person_id=lena.pk, verdict="right")
    found = agreement()
    assert (found.answers, found.percent) == (4, 75.0)
    # Observed 0.75; by chance 3/4 * 2/4 + 1/4 * 2/4 = 0.5.
    assert found.kappa == pytest.approx(0.5)
    assert found.table()[0] == ("right", [2, 1, 0, 0, 0])


def test_kappa_needs_a_difference() -> None:
    assert agreement_of([]).kappa is None
    assert agreement_of([("right", "right")] * 9).kappa is None
    assert agreement_of([("right", "wrong"), ("wrong", "right")]).kappa == pytest.approx(-1.0)


@pytest.mark.django_db(transaction=True)
def test_two_people_and_the_same_person_twice_at_once(alice: Customer, lena: User, erin: User) -> None:
    item = _item(alice)
    together = threading.Barrier(4)

    def run(person: User, verdict: str) -> None:
        together.wait()
        try:
            reviews.mark(item.pk, person_id=person.pk, verdict=verdict)
        finally:
            connection.close()

    acts = [(lena, "wrong"), (lena, "wrong"), (erin, "right"), (erin, "unsafe")]
    threads = [threading.Thread(target=run, args=act) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    item.refresh_from_db()
    assert (AnswerReview.objects.count(), item.given, item.wanted) == (2, 2, 2)


def test_a_deleted_conversation_takes_its_reviews_along(alice: Customer, lena: User) -> None:
    item = _item(alice)
    reviews.mark(item.pk, person_id=lena.pk, verdict="right")
    item.generation.conversation.delete()
    assert not ReviewItem.objects.exists() and not AnswerReview.objects.exists()
    with pytest.raises(NotFound):
        reviews.open_item(item.pk, person_id=lena.pk)
