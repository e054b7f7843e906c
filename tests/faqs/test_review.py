"""Draft, review, publish through the pages; dates, owners, translations."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from chatbot.knowledge import authoring
from chatbot.knowledge.content import FaqTerms, FaqText
from chatbot.knowledge.models import Faq
from support_portal.accounts.models import User
from tests.faqs.forms import typed

pytestmark = pytest.mark.django_db
WORDS = FaqText(question="Can I return it?", answer="Within 30 days.", phrasings=["send it back"], category="Returns")


@pytest.fixture
def editor(client: Client, erin: User) -> Client:
    client.force_login(erin)
    return client


@pytest.fixture
def admin(omar: User) -> Client:
    client = Client()
    client.force_login(omar)
    return client


@pytest.fixture
def faq() -> Faq:
    return authoring.create_faq("returns", locale="en", text=WORDS, author=None, publish=True)


def test_saving_a_published_faq_does_not_publish_the_change(editor: Client, faq: Faq) -> None:
    text = editor.post(f"/faqs/{faq.pk}/", typed(faq, answer="Within 60 days."), follow=True).content.decode()
    assert "Saved, not published" in text and "Within 60 days." in text and "Unpublished change" in text
    assert '<li class="removed">Within 30 days.</li>' in text
    faq.refresh_from_db()
    assert (faq.answer, faq.revision, faq.latest_revision) == ("Within 30 days.", 1, 2)
    editor.post(f"/faqs/{faq.pk}/", typed(faq, answer="Within 60 days.", action="publish"))
    faq.refresh_from_db()
    assert (faq.answer, faq.revision, faq.change_number) == ("Within 60 days.", 3, None)


def test_a_change_can_be_dropped_and_stays_in_the_history(editor: Client, faq: Faq) -> None:
    editor.post(f"/faqs/{faq.pk}/", typed(faq, answer="Within 60 days."))
    faq.refresh_from_db()
    text = editor.post(f"/faqs/{faq.pk}/", typed(faq, answer="", question="", action="discard"), follow=True).content.decode()
    assert "The unpublished change is dropped" in text
    history = editor.get(f"/faqs/{faq.pk}/history/").content.decode()
    assert "Within 60 days." in history and "change 2 dropped" in history and "Was not published then" in history


def test_two_people_saving_the_same_change_is_a_conflict(editor: Client, admin: Client, faq: Faq) -> None:
    editor.post(f"/faqs/{faq.pk}/", typed(faq, answer="Erin's."))
    response = admin.post(f"/faqs/{faq.pk}/", typed(faq, answer="Omar's."))
    assert response.status_code == 409 and "Erin saved this FAQ" in response.content.decode()
    assert "Omar&#x27;s." in response.content.decode() and "data-typed" in response.content.decode()


def test_review_by_a_second_person(editor: Client, admin: Client, faq: Faq, settings: Any) -> None:
    settings.FAQ_SECOND_PAIR_OF_EYES = True
    assert 'value="publish"' not in editor.get(f"/faqs/{faq.pk}/").content.decode()
    refused = editor.post(f"/faqs/{faq.pk}/", typed(faq, answer="Within 60 days.", action="publish")).content.decode()
    assert "somebody else must publish them" in refused and "Within 60 days." in refused
    editor.post(f"/faqs/{faq.pk}/", typed(faq, answer="Within 60 days.", action="review", note="new law"))
    faq.refresh_from_db()
    assert (faq.answer, faq.change_status) == ("Within 30 days.", "review")
    assert f'href="/faqs/{faq.pk}/"' in admin.get("/faqs/?attention=review").content.decode()
    page = admin.get(f"/faqs/{faq.pk}/").content.decode()
    assert "Erin asks for a review" in page and "new law" in page and 'value="publish"' in page
    admin.post(f"/faqs/{faq.pk}/", typed(faq, answer="Within 60 days.", action="send_back", note="say from when"))
    faq.refresh_from_db()
    assert faq.change_status == "draft"
    editor.post(f"/faqs/{faq.pk}/", typed(faq, answer="Within 60 days from May.", action="review"))
    faq.refresh_from_db()
    own = editor.post(f"/faqs/{faq.pk}/", typed(faq, answer="Within 60 days from May.", action="publish")).content.decode()
    assert "somebody else must publish them" in own
    admin.post(f"/faqs/{faq.pk}/", typed(faq, answer="Within 60 days from May.", action="publish"))
    faq.refresh_from_db()
    assert (faq.answer, faq.change_status) == ("Within 60 days from May.", "")
    notes = list(faq.revisions.values_list("author__username", "note"))
    assert notes[0] == ("omar", "published change 4") and ("omar", "sent back: say from when") in notes
    assert ("erin", "asked for a review: new law") in notes


def test_a_new_faq_goes_to_review(editor: Client, settings: Any) -> None:
    settings.FAQ_SECOND_PAIR_OF_EYES = True
    assert "somebody else must publish" in editor.post("/faqs/add/", typed(action="publish")).content.decode()
    editor.post("/faqs/add/", typed(action="review", note="please"))
    assert Faq.objects.get().status == "review"


def test_dates_and_owner_are_kept_and_shown(editor: Client, erin: User, faq: Faq) -> None:
    soon = timezone.localtime() + timedelta(days=5, hours=1)
    fields = {"valid_until": soon.strftime("%Y-%m-%dT%H:%M"), "owner": str(erin.pk), "action": "publish"}
    editor.post(f"/faqs/{faq.pk}/", typed(faq, **fields))
    faq.refresh_from_db()
    assert faq.owner == erin and faq.valid_until is not None
    text = editor.get("/faqs/?attention=expiring").content.decode()
    assert "expires in 5 days" in text and ">Erin<" in text
    assert "No FAQ fits" in editor.get("/faqs/?attention=expired").content.decode()
    assert ">returns<" in editor.get(f"/faqs/?owner={erin.pk}").content.decode()
    assert "No FAQ fits" in editor.get("/faqs/?owner=none").content.decode()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"valid_from": "2026-05-02T00:00", "valid_until": "2026-05-01T00:00"}, "It would end before it begins"),
        ({"valid_until": "soon"}, "Enter a valid date/time"),
        ({"owner": "999999"}, "Select a valid choice"),
        ({"note": "n" * 151}, "at most 150 characters"),
    ],
)
def test_terms_that_cannot_be(editor: Client, faq: Faq, change: dict[str, str], sentence: str) -> None:
    assert sentence in editor.post(f"/faqs/{faq.pk}/", typed(faq, action="publish", **change)).content.decode()
    faq.refresh_from_db()
    assert faq.revision == 1


def test_other_languages_stand_beside_the_text(editor: Client, erin: User, faq: Faq) -> None:
    other = authoring.create_faq("returns", locale="zh-hans", text=FaqText(question="退货？", answer="30天内。"), author=None)
    authoring.create_faq("hours", locale="de", text=FaqText(question="Wann?", answer="Immer."), author=None)
    text = editor.get(f"/faqs/{faq.pk}/").content.decode()
    assert "30天内。" in text and "Missing" in text and "key=returns&amp;locale=de" in text
    assert "Older than the original" not in text
    new = FaqText(question="Can I return it?", answer="Within 14 days.")
    authoring.edit_faq(faq.pk, text=new, expected_revision=1, author=erin)
    assert "Older than the original" in editor.get(f"/faqs/{faq.pk}/").content.decode()
    text = editor.get(f"/faqs/{other.pk}/").content.decode()
    assert "The original was changed after this text" in text and '<li class="added">Within 14 days.</li>' in text
    assert editor.get(f"/faqs/{other.pk}/still-right/").status_code == 405
    assert "still says" in editor.post(f"/faqs/{other.pk}/still-right/", {"expected_revision": "1"}, follow=True).content.decode()
    assert "The original was changed" not in editor.get(f"/faqs/{other.pk}/").content.decode()


def test_a_translation_begins_with_the_originals_key(editor: Client, faq: Faq) -> None:
    text = editor.get("/faqs/add/?key=returns&locale=de&category=Returns").content.decode()
    assert 'value="returns"' in text and 'value="de"' in text and "Within 30 days." in text
    assert editor.get("/faqs/add/?key=%00&locale=%00").status_code == 200


def test_restoring_waits_for_a_second_person_where_one_is_asked_for(editor: Client, omar: User, faq: Faq, settings: Any) -> None:
    authoring.edit_faq(faq.pk, text=FaqText(question="Q?", answer="New."), expected_revision=1, author=omar)
    settings.FAQ_SECOND_PAIR_OF_EYES = True
    text = editor.post(f"/faqs/{faq.pk}/restore/1/", {"expected_revision": "2"}, follow=True).content.decode()
    assert "It waits for a review" in text
    faq.refresh_from_db()
    assert (faq.answer, faq.change_status) == ("New.", "review")


def test_terms_of_a_faq_survive_a_call_that_knows_none(faq: Faq, erin: User) -> None:
    terms = FaqTerms(valid_until=timezone.now() + timedelta(days=1), owner_id=erin.pk)
    authoring.edit_faq(faq.pk, text=WORDS, terms=terms, expected_revision=1, author=erin)
    authoring.add_phrasing(faq.pk, phrasing="bring it back", author=erin)
    faq.refresh_from_db()
    assert FaqTerms.of(faq) == terms
