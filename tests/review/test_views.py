"""The review pages: who may, what they show, and that one key is one verdict."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from chatbot.conversations.models import Customer
from chatbot.knowledge import authoring
from chatbot.knowledge.content import FaqText
from chatbot.knowledge.models import Faq
from chatbot.learning import reviews, worth_a_look
from chatbot.learning.review_models import AnswerReview, Correction, ReviewItem
from support_portal.accounts.models import User
from tests.assist.talks import answered

pytestmark = pytest.mark.django_db
XSS = "<script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture
def faq(db: None) -> Faq:
    text = FaqText("How do I return an item?", "Within 30 days.")
    return authoring.create_faq("returns", locale="en", text=text, author=None, publish=True)


@pytest.fixture
def item(alice: Customer, faq: Faq) -> ReviewItem:
    return _item(alice, "can i give it back")


@pytest.fixture
def lead(client: Client, lena: User) -> Client:
    client.force_login(lena)
    return client


def _item(customer: Customer, question: str, answer: str = "Within 30 days [1].") -> ReviewItem:
    trace = {"language": "en", "withheld": [{"sentence": f"It costs 9 EUR {XSS}", "reasons": ["fact:money:9 EUR"]}]}
    found = worth_a_look.add_message(answered(customer, question, answer, cites="returns", trace=trace).reply_id)
    assert found is not None
    return found


def test_who_may_and_who_may_not(client: Client, item: ReviewItem, dana: User, erin: User, lena: User, omar: User) -> None:
    paths = ["/review/", f"/review/{item.pk}/", f"/review/{item.pk}/correct/", "/review/agreement/"]
    for path in paths:
        assert client.get(path)["Location"].startswith("/accounts/login/?next=/review/")
    for user, status in ((dana, 403), (erin, 200), (lena, 200), (omar, 200)):
        client.force_login(user)
        assert [client.get(path).status_code for path in paths] == [status] * 4
        posts = [client.post(f"/review/{item.pk}/{act}/", {"verdict": "right"}).status_code for act in ("mark", "unmark", "ask")]
        assert posts == [403 if status == 403 else 302] * 3


def test_wrong_verbs_and_bad_ids(lead: Client, item: ReviewItem) -> None:
    assert lead.post("/review/").status_code == lead.get(f"/review/{item.pk}/mark/").status_code == 405
    for path in (
        "/review/999999/",
        "/review/x/",
        f"/review/message/{uuid.uuid4()}/",
        "/review/?state=odd",
        "/review/?reason=odd",
    ):
        assert lead.get(path).status_code == 404, path
    assert lead.get("/review/?before=x").status_code == 404
    assert lead.post("/review/999999/mark/", {"verdict": "right"}).status_code == 404
    assert lead.get("/review/?verdict=odd&locale=%00").status_code == 200


def test_empty_lists_say_so(lead: Client) -> None:
    for query, words in (
        ("", "Nothing waits for you"),
        ("?state=asked", "Nobody asks you"),
        ("?state=disagreed", "No disagreement"),
    ):
        assert words in lead.get(f"/review/{query}").content.decode()
    assert "No answer has two verdicts yet" in lead.get("/review/agreement/").content.decode()


def test_one_verdict_after_the_other(lead: Client, alice: Customer, lena: User, item: ReviewItem) -> None:
    other = _item(alice, "and this one?")
    page = lead.get(f"/review/{other.pk}/?reason=unsupported").content.decode()
    for key in "rwiou":
        assert f'data-key="{key}"' in page
    response = lead.post(f"/review/{other.pk}/mark/?reason=unsupported", {"verdict": "wrong"})
    assert response["Location"] == f"/review/{item.pk}/?reason=unsupported&undo={other.pk}"
    assert "Undo the last verdict" in lead.get(response["Location"]).content.decode()
    response = lead.post(f"/review/{item.pk}/mark/", {"verdict": "right"})
    assert response["Location"] == f"/review/?undo={item.pk}"
    lead.post(f"/review/{item.pk}/unmark/")
    assert list(AnswerReview.objects.values_list("item", "verdict")) == [(other.pk, "wrong")]
    lead.post(f"/review/{item.pk}/mark/", {"verdict": "splendid"})
    assert AnswerReview.objects.count() == 1


def test_others_verdicts_are_hidden_until_ones_own_is_given(lead: Client, item: ReviewItem, erin: User, lena: User) -> None:
    reviews.mark(item.pk, person_id=erin.pk, verdict="unsafe")
    page = lead.get(f"/review/{item.pk}/").content.decode()
    assert "1 colleague judged it" in page and "Erin" not in page.split("Ask for a second opinion")[0]
    listed = lead.get("/review/?state=all").content.decode()
    assert "Unsafe</span>" not in listed and "Erin" not in listed
    response = lead.post(f"/review/{item.pk}/mark/", {"verdict": "wrong"}, follow=True)
    assert "You do not agree (Erin: Unsafe)" in response.content.decode()
    assert "50.0" not in lead.get("/review/agreement/").content.decode()


def test_asking_a_colleague(lead: Client, client: Client, item: ReviewItem, erin: User, dana: User) -> None:
    lead.post(f"/review/{item.pk}/ask/", {"people": [str(erin.pk), str(dana.pk), "x", "9" * 30]})
    assert list(item.requests.values_list("asked", flat=True)) == [erin.pk]
    client.force_login(erin)
    assert "Asked of you <span" in client.get("/review/").content.decode()


def test_hostile_words_stay_words(lead: Client, alice: Customer, faq: Faq) -> None:
    item = _item(alice, XSS, XSS)
    for path in ("/review/", f"/review/{item.pk}/", f"/review/{item.pk}/correct/"):
        page = lead.get(path).content.decode()
        assert "<script>alert" not in page and "<img src=x" not in page and "&lt;script&gt;" in page


def test_a_correction_from_the_form(lead: Client, item: ReviewItem, faq: Faq) -> None:
    page = lead.get(f"/review/{item.pk}/correct/")
    form = page.context["form"]
    assert form.initial["better"] == "Within 30 days." and form.initial["faq"] == f"{faq.pk}.{faq.latest_revision}"
    sent = {**form.initial, "better": "Within 60 days.", "mode": "replace", "publish": "on", "teach": "on", "test_question": "on"}
    response = lead.post(f"/review/{item.pk}/correct/", sent, follow=True)
    told = response.content.decode()
    assert "Corrected." in told and "An editor is asked to look" in told
    assert Correction.objects.get().faq_change == "replace"
    assert "Corrected already" in lead.get(f"/review/{item.pk}/correct/").content.decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"better": ""}, "This field is required"),
        ({"mode": "replace", "faq": ""}, "Choose the FAQ that shall change"),
        ({"mode": "new", "key": "a b", "question": "?"}, "Letters, digits"),
        ({"mode": "new"}, "A new FAQ needs this"),
        ({"mode": "replace", "faq": "1.99"}, "Somebody else changed this FAQ meanwhile"),
        ({"mode": "odd"}, "Select a valid choice"),
        ({"faq": "1'; drop"}, "Select a valid choice"),
        ({"teach": "on", "phrasing": ""}, "Write how it is asked"),
    ],
)
def test_a_wrong_form_loses_nothing(lead: Client, item: ReviewItem, faq: Faq, change: dict[str, Any], words: str) -> None:
    initial = lead.get(f"/review/{item.pk}/correct/").context["form"].initial
    if change.get("faq") == "1.99":
        change = change | {"faq": f"{faq.pk}.99"}
    response = lead.post(f"/review/{item.pk}/correct/", {**initial, "better": "My long better answer.", **change})
    page = response.content.decode()
    assert response.status_code == 200 and words in page and not Correction.objects.exists()
    assert change.get("better") == "" or "My long better answer." in page


def test_from_a_transcript(lead: Client, alice: Customer) -> None:
    generation = answered(alice, "hello", "Hi.")
    response = lead.get(f"/review/message/{generation.reply_id}/")
    assert response["Location"] == f"/review/{ReviewItem.objects.get().pk}/"
    lead.get(f"/review/message/{generation.reply_id}/")
    assert ReviewItem.objects.count() == 1
    assert lead.get(f"/review/message/{generation.reply.in_reply_to_id}/").status_code == 404


def test_the_list_costs_the_same_for_one_and_for_forty(
    lead: Client, alice: Customer, faq: Faq, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(40):
        _item(alice, f"question {number}")
    with django_assert_max_num_queries(12):
        assert lead.get("/review/").content.decode().count("review-row") == 40


def test_the_list_shows_answers_without_their_marks(lead: Client, item: ReviewItem) -> None:
    type(item.generation).objects.filter(pk=item.generation_id).update(text="Within **3 days** [1].")
    page = lead.get("/review/").content.decode()
    assert "Within 3 days" in page and "**" not in page and "[1]" not in page
