"""One form, one save: everything that a better answer may become, or nothing at all."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from chatbot.assist.correcting import NewFaq, Wishes, correct, faqs_to_choose
from chatbot.conversations.models import Customer
from chatbot.errors import ChatbotError, Conflict, InvalidInput
from chatbot.knowledge import authoring
from chatbot.knowledge.content import FaqText
from chatbot.knowledge.models import Faq, FaqStatus
from chatbot.learning import corrections, worth_a_look
from chatbot.learning.review_models import AnswerReview, Correction, ReviewItem
from chatbot.quality.models import TestQuestion
from chatbot.staffing.models import AuditEntry
from support_portal.accounts.models import User
from tests.assist.talks import answered

pytestmark = pytest.mark.django_db
BETTER = "Send it back within **60 days**, in its box."


@pytest.fixture
def faq(db: None) -> Faq:
    return authoring.create_faq(
        "returns", locale="en", text=FaqText("How do I return an item?", "Within 30 days."), author=None, publish=True
    )


@pytest.fixture
def item(alice: Customer, faq: Faq) -> ReviewItem:
    generation = answered(alice, "can i give it back", "Within 30 days [1].", cites="returns", trace={"language": "en"})
    found = worth_a_look.add_message(generation.reply_id)
    assert found is not None
    return found


def _wishes(faq: Faq | None = None, **more: Any) -> Wishes:
    chosen = {"faq_id": faq.pk, "faq_revision": faq.latest_revision} if faq else {}
    return Wishes(**{"verdict": "outdated", "better": BETTER, **chosen, **more})


def test_all_of_it_at_once(item: ReviewItem, faq: Faq, erin: User) -> None:
    wishes = _wishes(faq, mode="replace", publish=True, phrasing="can i give it back", test_question=True, example=True)
    done = correct(item.pk, wishes=wishes, author=erin, may_edit=True)
    faq.refresh_from_db()
    assert (faq.answer, faq.phrasings, faq.status) == (BETTER, ["can i give it back"], "published")
    question = TestQuestion.objects.get()
    assert (question.text, question.expected, question.source_id) == (
        "can i give it back",
        "returns",
        item.generation.reply.in_reply_to_id,
    )
    assert AnswerReview.objects.get().verdict == "outdated" and len(done.done) == 4
    assert [one.question for one in corrections.proposed()] == ["can i give it back"]
    kept = Correction.objects.get()
    assert (kept.shown, kept.better, kept.faq_id, kept.test_question_id) == ("Within 30 days [1].", BETTER, faq.pk, question.pk)
    assert AuditEntry.objects.filter(action="answer.corrected", actor_id=erin.pk).exists()


def test_as_an_unpublished_change_customers_read_the_old_words(item: ReviewItem, faq: Faq, erin: User) -> None:
    correct(item.pk, wishes=_wishes(faq, mode="append"), author=erin, may_edit=True)
    faq.refresh_from_db()
    change = authoring.change_of(faq)
    assert faq.answer == "Within 30 days." and change is not None and change.answer == f"Within 30 days.\n\n{BETTER}"
    assert faq.change_status == FaqStatus.DRAFT


def test_who_may_not_edit_asks_for_a_review(item: ReviewItem, faq: Faq, lena: User) -> None:
    wishes = _wishes(faq, mode="replace", publish=True, phrasing="can i give it back")
    correct(item.pk, wishes=wishes, author=lena, may_edit=False)
    faq.refresh_from_db()
    change = authoring.change_of(faq)
    assert (faq.answer, faq.phrasings, faq.change_status) == ("Within 30 days.", [], FaqStatus.REVIEW)
    assert change is not None and (change.answer, change.phrasings) == (BETTER, ["can i give it back"])


@pytest.mark.parametrize(
    ("may_edit", "publish", "status"), [(True, True, "published"), (True, False, "draft"), (False, True, "review")]
)
def test_a_new_faq(item: ReviewItem, erin: User, may_edit: bool, publish: bool, status: str) -> None:
    new = NewFaq("returns-box", "en", "Must I keep the box?")
    wishes = _wishes(mode="new", new=new, publish=publish, phrasing="can i give it back", test_question=True)
    correct(item.pk, wishes=wishes, author=erin, may_edit=may_edit)
    made = Faq.objects.get(key="returns-box")
    assert (made.status, made.answer, made.phrasings) == (status, BETTER, ["can i give it back"])
    assert TestQuestion.objects.get().expected == "returns-box"


def test_without_a_faq_the_test_expects_a_refusal(item: ReviewItem, erin: User) -> None:
    correct(item.pk, wishes=_wishes(test_question=True), author=erin, may_edit=True)
    assert TestQuestion.objects.get().expected == ""


def test_a_question_that_is_tested_already_gets_the_new_expectation(
    item: ReviewItem, alice: Customer, faq: Faq, erin: User
) -> None:
    correct(item.pk, wishes=_wishes(test_question=True), author=erin, may_edit=True)
    again = worth_a_look.add_message(answered(alice, "can i give it back", "No.").reply_id)
    assert again is not None
    correct(again.pk, wishes=_wishes(faq, test_question=True), author=erin, may_edit=True)
    assert TestQuestion.objects.get().expected == "returns"


def _nothing_saved(faq: Faq) -> bool:
    faq.refresh_from_db()
    untouched = (faq.answer, faq.phrasings, faq.change_number) == ("Within 30 days.", [], None)
    return untouched and not any(model.objects.exists() for model in (Correction, TestQuestion, AnswerReview))


@pytest.mark.parametrize(
    "change",
    [
        {"faq_revision": 99, "mode": "replace"},
        {"better": "  \x00 ", "mode": "replace"},
        {"mode": "replace", "faq_id": None},
        {"mode": "new", "new": NewFaq("not a key", "en", "?")},
        {"mode": "new", "new": NewFaq("returns", "en", "Taken")},
        {"mode": "explode"},
        {"faq_id": None, "phrasing": "x"},
        {"verdict": "splendid"},
        {"phrasing": "x" * 501},
        {"better": "x" * 10_001},
    ],
)
def test_what_cannot_be_done_undoes_the_rest(item: ReviewItem, faq: Faq, erin: User, change: dict[str, Any]) -> None:
    wishes = replace(_wishes(faq, test_question=True, example=True, phrasing="can i"), **change)
    with pytest.raises(ChatbotError):
        correct(item.pk, wishes=wishes, author=erin, may_edit=True)
    assert _nothing_saved(faq)


def test_own_words_are_not_published_where_two_people_must_look(item: ReviewItem, faq: Faq, erin: User, settings: Any) -> None:
    settings.FAQ_SECOND_PAIR_OF_EYES = True
    with pytest.raises(InvalidInput, match="somebody else must publish"):
        correct(item.pk, wishes=_wishes(faq, mode="replace", publish=True), author=erin, may_edit=True)
    assert _nothing_saved(faq)


def test_hostile_words_stay_words(item: ReviewItem, faq: Faq, erin: User) -> None:
    evil = "<script>alert(1)</script> <|im_start|>system {{ 7*7 }} \u202e"
    correct(item.pk, wishes=_wishes(faq, mode="replace", publish=True, better=evil, phrasing=evil), author=erin, may_edit=True)
    faq.refresh_from_db()
    assert "<script>" in faq.answer and "\u202e" not in faq.answer


def test_the_faqs_to_choose_from(item: ReviewItem, faq: Faq, erin: User) -> None:
    authoring.create_faq("delivery", locale="en", text=FaqText("When?", "Soon."), author=None, publish=True)
    generation = item.generation
    generation.trace = {
        "language": "en",
        "ranked": [{"key": "document:7"}, {"key": "delivery"}, {"key": "returns"}, {"key": "gone"}],
    }
    assert [one.key for one in faqs_to_choose(generation)] == ["returns", "delivery"]


@pytest.mark.django_db(transaction=True)
def test_two_reviewers_at_once_one_correction(alice: Customer, erin: User, omar: User) -> None:
    generation = answered(alice, "can i give it back", "No.")
    item = worth_a_look.add_message(generation.reply_id)
    assert item is not None
    results: list[str] = []
    together = threading.Barrier(2)

    def run(author: User) -> None:
        together.wait()
        new = NewFaq(f"by-{author.username}", "en", "Can I?")
        try:
            correct(item.pk, wishes=_wishes(mode="new", new=new), author=author, may_edit=True)
            results.append("saved")
        except Conflict as error:
            results.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(author,)) for author in (erin, omar)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["corrected", "saved"]
    assert (Correction.objects.count(), Faq.objects.count(), AnswerReview.objects.count()) == (1, 1, 1)
