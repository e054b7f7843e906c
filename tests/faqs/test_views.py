"""FAQ pages: who may do what, writing, conflicts, history."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from chatbot.knowledge import authoring
from chatbot.knowledge.content import FaqText
from chatbot.knowledge.models import MAX_ANSWER_CHARS, Faq
from support_portal.accounts.models import User
from support_portal.faqs import views

pytestmark = pytest.mark.django_db
XSS = "<script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture
def editor(client: Client, erin: User) -> Client:
    client.force_login(erin)
    return client


def _faq(key: str = "returns", *, locale: str = "en", publish: bool = True, **words: Any) -> Faq:
    words = {
        "question": "Can I return it?",
        "answer": "Within **30 days**.",
        "phrasings": ["send it back"],
        "category": "Returns",
    } | words
    return authoring.create_faq(key, locale=locale, text=FaqText(**words), author=None, publish=publish)


def _typed(faq: Faq | None = None, **changes: str) -> dict[str, str]:
    """The form as a browser sends it."""
    fields = {
        "key": "returns",
        "locale": "en",
        "category": "Returns",
        "question": "Can I return it?",
        "answer": "Within **30 days**.",
        "phrasings": "send it back",
        "expected_revision": str(faq.revision if faq else 0),
    }
    return fields | changes


def test_strangers_sign_in_first(client: Client) -> None:
    faq = _faq()
    for path in ("", "add/", f"{faq.pk}/", f"{faq.pk}/history/", "import/", "export/", "preview/"):
        assert client.get(f"/faqs/{path}")["Location"].startswith("/accounts/login/?next=/faqs/")


def test_agents_read_and_change_nothing(client: Client, dana: User) -> None:
    client.force_login(dana)
    faq = _faq()
    page = f"/faqs/{faq.pk}/"
    text = client.get(page).content.decode()
    assert "<strong>30 days</strong>" in text and "send it back" in text and "<textarea" not in text
    assert client.get(f"{page}history/").status_code == 200
    assert "New FAQ" not in client.get("/faqs/").content.decode()
    assert (
        client.get("/faqs/add/").status_code
        == client.get("/faqs/import/").status_code
        == client.get("/faqs/export/").status_code
        == 403
    )
    for path in (page, f"{page}restore/1/", "/faqs/add/", "/faqs/import/", "/faqs/import/confirm/", "/faqs/preview/"):
        assert client.post(path, _typed(faq, answer="Changed.", action="publish")).status_code == 403
    faq.refresh_from_db()
    assert faq.revision == 1


def test_wrong_verbs_and_bad_ids(editor: Client) -> None:
    faq = _faq()
    assert editor.post("/faqs/").status_code == editor.get("/faqs/preview/").status_code == 405
    assert editor.get(f"/faqs/{faq.pk}/restore/1/").status_code == editor.post(f"/faqs/{faq.pk}/history/").status_code == 405
    assert editor.get("/faqs/import/confirm/").status_code == editor.post("/faqs/export/").status_code == 405
    for path in ("/faqs/999999/", "/faqs/999999/history/", "/faqs/99999999999999999999/", "/faqs/x/"):
        assert editor.get(path).status_code == 404
    assert editor.post(f"/faqs/{faq.pk}/restore/9/", {"expected_revision": "1"}).status_code == 404
    assert editor.post("/faqs/999999/restore/1/", {"expected_revision": "1"}).status_code == 404


def test_an_empty_list_says_what_to_do(editor: Client) -> None:
    assert "No FAQs yet" in editor.get("/faqs/").content.decode()
    assert "Nothing found" in editor.get("/faqs/?q=kiwi").content.decode()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "RETURN"}, {"returns", "returns-zh"}),
        ({"q": "send back"}, {"returns"}),
        ({"q": "100%"}, {"discount"}),
        ({"q": "\x00discount"}, {"discount"}),
        ({"status": "draft"}, {"discount"}),
        ({"locale": "zh-hans"}, {"returns-zh"}),
        ({"category": "Returns", "q": "returns-zh"}, {"returns-zh"}),
        ({"status": "odd"}, set()),
        ({"page": "999"}, {"returns", "returns-zh", "discount"}),
        ({"page": "x"}, {"returns", "returns-zh", "discount"}),
        ({"q": "x" * 9000}, set()),
    ],
)
def test_search_and_filters(editor: Client, query: dict[str, str], found: set[str]) -> None:
    _faq()
    _faq("returns-zh", locale="zh-hans", question="可以退货吗？", phrasings=[])
    _faq("discount", publish=False, category="Prices", question="Is there 100% off?", phrasings=[])
    text = editor.get("/faqs/", query).content.decode()
    assert {key for key in ("returns", "returns-zh", "discount") if f">{key}<" in text} == found


def test_the_list_costs_the_same_for_many(editor: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(views.PAGE_FAQS + 5):
        _faq(f"faq-{number}")
    # session, user, count, ids of the page, page, found, used, owners, locales, categories
    with django_assert_num_queries(10):
        text = editor.get("/faqs/?q=faq").content.decode()
    assert "Page 1 of 2" in text and "?q=faq&amp;page=2" in text and "55 FAQs found" in text


def test_a_new_faq_is_a_draft_or_published_as_the_button_says(editor: Client, erin: User) -> None:
    for key, action, status in (("a", "save", "draft"), ("b", "publish", "published"), ("c", "odd", "draft")):
        assert editor.post("/faqs/add/", _typed(key=key, action=action, phrasings="one\r\n\r\ntwo \r\none")).status_code == 302
        faq = Faq.objects.get(key=key)
        assert (faq.status, faq.phrasings, faq.revisions.get().author) == (status, ["one", "two"], erin)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"key": "two words"}, "The key must be"),
        ({"locale": "English"}, "The locale must be"),
        ({"answer": ""}, "This field is required"),
        ({"answer": "x" * (MAX_ANSWER_CHARS + 1)}, "at most 20000 characters"),
        ({"question": "q" * 501}, "at most 500 characters"),
        ({"phrasings": "p" * 501}, "number 1 has 501 characters"),
        ({"question": "nul\x00"}, "Null characters are not allowed"),
        ({"key": "taken"}, "There is already a FAQ taken in en"),
    ],
)
def test_what_cannot_be_saved_is_told_and_the_typed_text_stays(editor: Client, change: dict[str, str], sentence: str) -> None:
    _faq("taken")
    text = editor.post("/faqs/add/", _typed(category="My category", **change)).content.decode()
    assert sentence in text and 'value="My category"' in text
    assert Faq.objects.count() == 1


def test_editing_keeps_the_status_and_the_key(editor: Client) -> None:
    faq = _faq()
    assert (
        editor.post(
            f"/faqs/{faq.pk}/", _typed(faq, answer="Within 60 days.", key="other", locale="fr", action="publish")
        ).status_code
        == 302
    )
    faq.refresh_from_db()
    assert (faq.answer, faq.status, faq.key, faq.locale, faq.revision) == ("Within 60 days.", "published", "returns", "en", 2)


def test_the_same_words_make_no_revision(editor: Client) -> None:
    faq = _faq(answer="One.\n\nTwo.")
    editor.post(f"/faqs/{faq.pk}/", _typed(faq, answer="One.\r\n\r\nTwo."))
    faq.refresh_from_db()
    assert faq.revision == 1


def test_publishing_and_archiving(editor: Client) -> None:
    faq = _faq(publish=False)
    for action, status in (("publish", "published"), ("archive", "archived"), ("publish", "published")):
        editor.post(f"/faqs/{faq.pk}/", _typed(faq, action=action))
        faq.refresh_from_db()
        assert faq.status == status


def test_an_answer_that_is_too_long_stays_in_the_form_and_says_what_to_do(editor: Client) -> None:
    long = "word " * 10_000
    shown = editor.post("/faqs/add/", _typed(answer=long)).content.decode()
    assert "at most 20000 characters; this one has 49999" in shown and "upload it as a document" in shown
    assert long.strip() in shown and not Faq.objects.exists()


def test_a_conflict_keeps_the_typed_text_and_says_who_was_quicker(editor: Client, omar: User) -> None:
    faq = _faq()
    authoring.edit_faq(
        faq.pk, text=FaqText(question="Can I return it?", answer="Within 14 days."), expected_revision=1, author=omar
    )
    response = editor.post(f"/faqs/{faq.pk}/", _typed(faq, answer="Within 99 days."))
    text = response.content.decode()
    assert response.status_code == 409
    assert "Omar saved this FAQ" in text and "Within 99 days." in text and '<li class="added">Within 14 days.</li>' in text
    faq.refresh_from_db()
    assert faq.answer == "Within 14 days."
    assert 'name="expected_revision" value="2"' in text
    assert editor.post(f"/faqs/{faq.pk}/", _typed(faq, answer="Within 99 days.", action="publish")).status_code == 302
    assert Faq.objects.get().answer == "Within 99 days."


@pytest.mark.parametrize("revision", ["", "-1", "x", "9" * 30, "²"])
def test_a_form_without_a_usable_revision_is_a_conflict(editor: Client, revision: str) -> None:
    faq = _faq()
    response = editor.post(f"/faqs/{faq.pk}/", _typed(faq, answer="New.", expected_revision=revision))
    assert response.status_code == 409 and "New." in response.content.decode()


def test_history_shows_who_changed_what_and_restores(editor: Client, erin: User) -> None:
    faq = _faq()
    editor.post(f"/faqs/{faq.pk}/", _typed(faq, answer="Within **60 days**.", phrasings="send it back\nrefund", action="publish"))
    text = editor.get(f"/faqs/{faq.pk}/history/").content.decode()
    assert "Erin" in text and "The system" in text
    assert '<li class="removed">Within **30 days**.</li>' in text and '<li class="added">Within **60 days**.</li>' in text
    assert '<li class="added">refund</li>' in text and '<li class="same">send it back</li>' in text
    assert editor.post(f"/faqs/{faq.pk}/restore/1/", {"expected_revision": "1"}).status_code == 302
    assert "Nothing was restored" in editor.get(f"/faqs/{faq.pk}/history/").content.decode()
    editor.post(f"/faqs/{faq.pk}/restore/1/", {"expected_revision": "2"})
    faq.refresh_from_db()
    assert (faq.answer, faq.phrasings, faq.revision) == ("Within **30 days**.", ["send it back"], 3)


def test_history_costs_the_same_for_many(editor: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    faq = _faq()
    for number in range(10):
        authoring.add_phrasing(faq.pk, phrasing=f"way {number}", author=None)
    with django_assert_num_queries(4):  # session, user, FAQ, revisions with authors
        editor.get(f"/faqs/{faq.pk}/history/")


def test_the_preview_is_the_one_renderers(editor: Client) -> None:
    assert editor.post("/faqs/preview/", {"answer": "**bold** " + XSS}).json()["html"].startswith("<p><strong>bold</strong>")
    assert "<script" not in editor.post("/faqs/preview/", {"answer": XSS}).json()["html"]
    assert editor.post("/faqs/preview/", {"answer": "שלום לכם"}).json()["dir"] == "rtl"
    assert editor.post("/faqs/preview/", {"answer": "x" * (MAX_ANSWER_CHARS + 1)}).status_code == 400
    assert editor.post("/faqs/preview/").json()["html"] == ""


def test_no_words_become_markup(editor: Client) -> None:
    faq = _faq(question=XSS, answer=XSS, phrasings=[XSS], category=XSS)
    for path in ("/faqs/", f"/faqs/{faq.pk}/", f"/faqs/{faq.pk}/history/", f"/faqs/?q={XSS}"):
        text = editor.get(path).content.decode()
        assert "<script>alert" not in text and "<img src=x" not in text


def test_writing_needs_the_csrf_token(erin: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(erin)
    assert strict.post("/faqs/add/", _typed()).status_code == 403
    assert Faq.objects.count() == 0
