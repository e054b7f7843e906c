"""The document pages: who may do what, uploading, states, passages, suggestions, and what customers may open."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from chatbot.conversations.models import Citation, Customer
from chatbot.documents import shelf
from chatbot.documents.models import Document, Passage
from chatbot.knowledge.models import Faq
from support_portal.accounts.models import User
from tests.conversations.factories import message, post
from tests.documents.conftest import WARRANTY, Upload
from tests.documents.files import xlsx_of
from tests.documents.test_suggesting import FRAMES, WordEmbedder, _suggest

pytestmark = pytest.mark.django_db
XSS = "<script>alert(1)</script>"


@pytest.fixture
def editor(client: Client, erin: User) -> Client:
    client.force_login(erin)
    return client


def _file(content: str | bytes = WARRANTY, name: str = "warranty.md") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content.encode() if isinstance(content, str) else content)


def test_strangers_sign_in_and_agents_only_read(client: Client, dana: User, upload: Upload) -> None:
    document = upload()
    passage = Passage.objects.first()
    assert passage is not None
    page = f"/faqs/documents/{document.pk}/"
    for path in ("/faqs/documents/", page, f"/faqs/documents/passages/{passage.pk}/", f"{page}file/"):
        assert client.get(path)["Location"].startswith("/accounts/login/?next=/faqs/documents/")
    client.force_login(dana)
    text = client.get(page).content.decode()
    assert "covered for seven years" in text and "<form" not in text.split("<main")[1]
    assert 'type="file"' not in client.get("/faqs/documents/").content.decode()
    assert client.get(f"{page}file/").status_code == 403
    for action in ("archive", "restore", "delete", "suggest", "suggestions/1"):
        assert client.post(f"{page}{action}/").status_code == 403
    assert client.post("/faqs/documents/upload/", {"file": _file()}).status_code == 403
    assert Document.objects.get().revision == 1


def test_wrong_verbs_and_bad_ids(editor: Client, upload: Upload) -> None:
    page = f"/faqs/documents/{upload().pk}/"
    assert editor.get("/faqs/documents/upload/").status_code == editor.get(f"{page}delete/").status_code == 405
    assert editor.post(page).status_code == editor.post("/faqs/documents/").status_code == 405
    for path in ("999999/", "99999999999999999999999/", "999999/file/", "passages/999999/", "passages/99999999999999999999999/"):
        assert editor.get(f"/faqs/documents/{path}").status_code == 404
    assert editor.post("/faqs/documents/999999/delete/").status_code == 404
    assert editor.post(f"{page}suggestions/999999/").status_code == 404


def test_an_upload_is_stored_and_the_page_looks_again(editor: Client, upload: Upload) -> None:
    response = editor.post("/faqs/documents/upload/", {"file": _file()}, follow=True)
    document = Document.objects.get()
    text = response.content.decode()
    assert response.redirect_chain[-1][0] == f"/faqs/documents/{document.pk}/"
    assert "warranty.md is uploaded" in text and "data-moving" in text and "Waiting" in text
    assert "data-moving" in editor.get("/faqs/documents/").content.decode()
    upload()
    assert "data-moving" not in editor.get("/faqs/documents/").content.decode()


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (None, "Choose a file first."),
        (_file(b"", "a.md"), "This file is empty."),
        (_file(b"x" * (1024 * 1024 + 1), "a.md"), "a.md has 1.0 MB; at most 1 MB are taken."),
        (_file("x", "a" * 260 + ".md"), "characters"),
    ],
)
def test_what_is_not_taken_is_told(editor: Client, settings: object, file: SimpleUploadedFile | None, sentence: str) -> None:
    settings.DOCUMENT_MAX_BYTES = 1024 * 1024  # type: ignore[attr-defined]
    if file:
        file.seek(0)
    response = editor.post("/faqs/documents/upload/", {"file": file} if file else {})
    assert response.status_code == 400 and sentence in response.content.decode()
    assert Document.objects.count() == 0


def test_a_failed_file_says_why_and_where_to_go(editor: Client, upload: Upload) -> None:
    page = editor.get(f"/faqs/documents/{upload(xlsx_of([['key', 'locale']]), name='q.xlsx').pk}/").content.decode()
    assert "This is a table of questions" in page and 'href="/faqs/import/"' in page
    upload(b"Fine.\nF\xfcr Sie.\n", name="old.txt")
    assert "Line 2: byte 0xfc is not UTF-8." in editor.get("/faqs/documents/").content.decode()


def test_nothing_in_a_file_becomes_markup(editor: Client, upload: Upload) -> None:
    document = upload(f"Title of {XSS}\n\nText of {XSS} here.", name="<b>.txt")
    passage = Passage.objects.get()
    for path in ("/faqs/documents/", f"/faqs/documents/{document.pk}/", f"/faqs/documents/passages/{passage.pk}/"):
        assert "<script>alert" not in editor.get(path).content.decode() and "<b>.txt" not in editor.get(path).content.decode()
    response = editor.get(f"/faqs/documents/{document.pk}/file/")
    assert response["Content-Disposition"] == "attachment; filename*=UTF-8''%3Cb%3E.txt"
    assert (response["Content-Type"], response["X-Content-Type-Options"]) == ("application/octet-stream", "nosniff")


def test_archive_bring_back_delete(editor: Client, upload: Upload) -> None:
    page = f"/faqs/documents/{upload().pk}/"
    assert "Archived" in editor.post(f"{page}archive/", follow=True).content.decode()
    assert "is back" in editor.post(f"{page}restore/", follow=True).content.decode()
    assert "is not archived" in editor.post(f"{page}restore/", follow=True).content.decode()
    assert "is deleted" in editor.post(f"{page}delete/", follow=True).content.decode()
    assert Document.objects.count() == 0


def test_suggestions_are_published_or_thrown_away(editor: Client, upload: Upload, words: WordEmbedder) -> None:
    document = upload()
    page = f"/faqs/documents/{document.pk}/"
    assert "data-moving" in editor.post(f"{page}suggest/", follow=True).content.decode()
    Document.objects.update(suggestion_status="")
    _suggest(document, words, FRAMES)
    faq = Faq.objects.get()
    assert "How long are frames of steel covered?" in editor.get(page).content.decode() and faq.status == "draft"
    editor.post(f"{page}suggestions/{faq.pk}/", {"action": "publish"})
    faq.refresh_from_db()
    assert faq.status == "published"
    editor.post(f"{page}suggestions/{faq.pk}/", {"action": "discard"})
    assert "How long are frames" not in editor.get(page).content.decode()


def test_customers_open_what_a_reply_cited_and_nothing_else(client: Client, alice: Customer, upload: Upload) -> None:
    document = upload()
    first, second = Passage.objects.order_by("order")
    reply = message(post(alice))
    Citation.objects.create(message=reply, number=1, revision=1, key=f"document:{first.pk}", title="warranty.md")
    text = client.get(f"/help/document:{first.pk}/").content.decode()
    assert "covered for seven years" in text and "Warranty › Frames" in text
    assert client.get(f"/help/document:{second.pk}/").status_code == 404
    assert client.get("/help/document:99999999999999999999999/").status_code == 404
    shelf.archive_document(document.pk)
    assert client.get(f"/help/document:{first.pk}/").status_code == 404


def test_the_list_asks_few_questions(
    editor: Client, upload: Upload, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        upload(name=f"{number}.md", read=number == 0)
    with django_assert_max_num_queries(6):
        assert editor.get("/faqs/documents/?q=md").status_code == 200
