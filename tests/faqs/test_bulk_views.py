"""Many FAQs at once: ticked, looked at, confirmed; all or none."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from chatbot.knowledge import authoring
from chatbot.knowledge.content import FaqText
from chatbot.knowledge.models import Faq
from support_portal.accounts.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def editor(client: Client, erin: User) -> Client:
    client.force_login(erin)
    return client


@pytest.fixture
def faqs(erin: User) -> list[Faq]:
    text = FaqText(question="What?", answer="That.", category="Old")
    return [authoring.create_faq(f"faq-{n}", locale="en", text=text, author=erin, publish=n == 0) for n in range(3)]


def _ticked(faqs: list[Faq], **fields: str) -> dict[str, Any]:
    return {"faq": [f"{faq.pk}:{faq.latest_revision}" for faq in faqs], **fields}


def _confirmed(page: str, **fields: str) -> dict[str, str]:
    value = {name: page.split(f'name="{name}" value="')[1].split('"')[0] for name in ("faqs", "action")}
    return value | fields


def test_publishing_asks_first_and_then_publishes_all(editor: Client, faqs: list[Faq], erin: User) -> None:
    page = editor.post("/faqs/bulk/", _ticked(faqs, action="publish")).content.decode()
    assert "Publish 3 FAQs?" in page and "<dt>not published</dt><dd>2</dd>" in page
    assert Faq.objects.filter(status="published").count() == 1
    text = editor.post("/faqs/bulk/confirm/", _confirmed(page), follow=True).content.decode()
    assert "2 FAQs published. 1 were so already." in text
    assert Faq.objects.filter(status="published").count() == 3
    newest = faqs[1].revisions.first()
    assert newest and (newest.author, newest.note, newest.status) == (erin, "published with others", "published")


@pytest.mark.parametrize(("action", "field"), [("category", "category"), ("owner", "owner"), ("archive", "status")])
def test_category_owner_and_archive(editor: Client, faqs: list[Faq], erin: User, action: str, field: str) -> None:
    page = editor.post("/faqs/bulk/", _ticked(faqs, action=action)).content.decode()
    fields = {"category": {"category": " New  one "}, "owner": {"owner": str(erin.pk)}, "archive": {}}[action]
    editor.post("/faqs/bulk/confirm/", _confirmed(page, **fields))
    expected = {"category": "New one", "owner": erin.pk, "status": "archived"}[field]
    assert set(Faq.objects.values_list(field, flat=True)) == {expected}


def test_one_that_moved_on_stops_all(editor: Client, faqs: list[Faq], omar: User) -> None:
    form = _confirmed(editor.post("/faqs/bulk/", _ticked(faqs, action="archive")).content.decode())
    authoring.add_phrasing(faqs[2].pk, phrasing="which one", author=omar)
    text = editor.post("/faqs/bulk/confirm/", form, follow=True).content.decode()
    assert "Nothing was changed. Changed or gone since you looked: faq-2." in text
    assert not Faq.objects.filter(status="archived").exists()


def test_own_words_among_them_stop_all(editor: Client, faqs: list[Faq], settings: Any) -> None:
    settings.FAQ_SECOND_PAIR_OF_EYES = True
    form = _confirmed(editor.post("/faqs/bulk/", _ticked(faqs, action="publish")).content.decode())
    text = editor.post("/faqs/bulk/confirm/", form, follow=True).content.decode()
    assert "You wrote the words of faq-1, faq-2 yourself" in text
    assert Faq.objects.filter(status="published").count() == 1


def test_an_open_change_gets_the_new_category_too(editor: Client, faqs: list[Faq], omar: User) -> None:
    changed = FaqText(question="What?", answer="Other.", category="Old")
    terms = authoring.FaqTerms.of(faqs[0])
    authoring.save_change(faqs[0].pk, text=changed, terms=terms, expected_revision=1, author=omar)
    faqs[0].refresh_from_db()
    page = editor.post("/faqs/bulk/", _ticked(faqs, action="category")).content.decode()
    editor.post("/faqs/bulk/confirm/", _confirmed(page, category="New"))
    faqs[0].refresh_from_db()
    published = authoring.publish_change(faqs[0].pk, expected_revision=faqs[0].latest_revision, author=omar)
    assert (published.category, published.answer) == ("New", "Other.")


def test_everything_that_a_search_found(editor: Client, faqs: list[Faq]) -> None:
    page = editor.post("/faqs/bulk/", {"everything": "1", "query": "status=draft", "action": "archive"}).content.decode()
    assert "Archive 2 FAQs?" in page


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"action": "publish"},
        {"action": "delete", "faq": "1:1"},
        {"action": "publish", "faq": ["x", "1", "1:²", "1:1:1", "9" * 30 + ":1"]},
    ],
)
def test_nothing_usable_ticked(editor: Client, faqs: list[Faq], form: dict[str, Any]) -> None:
    assert editor.post("/faqs/bulk/", form)["Location"] == "/faqs/"
    assert editor.post("/faqs/bulk/confirm/", form)["Location"] == "/faqs/"
    assert not Faq.objects.filter(revision__gt=1).exists()


def test_agents_may_not_and_get_is_no_verb(editor: Client, dana: User, faqs: list[Faq]) -> None:
    assert editor.get("/faqs/bulk/").status_code == editor.get("/faqs/bulk/confirm/").status_code == 405
    agent = Client()
    agent.force_login(dana)
    for path in ("/faqs/bulk/", "/faqs/bulk/confirm/"):
        assert agent.post(path, _ticked(faqs, action="publish")).status_code == 403
    assert 'name="faq"' not in agent.get("/faqs/").content.decode()
