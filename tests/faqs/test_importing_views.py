"""Files in and out through the browser."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.http import StreamingHttpResponse
from django.test import AsyncClient, Client

from chatbot import runtime
from chatbot.knowledge import authoring, faq_files
from chatbot.knowledge.content import FaqText
from chatbot.knowledge.models import Faq
from support_portal.accounts.models import User
from support_portal.faqs import forms

pytestmark = pytest.mark.django_db


@pytest.fixture
def editor(client: Client, erin: User) -> Client:
    client.force_login(erin)
    return client


def _line(key: str, **changes: object) -> str:
    row = {
        "key": key,
        "locale": "en",
        "category": "Test",
        "question": f"What is {key}?",
        "phrasings": [f"tell me {key}"],
        "answer": "A thing.",
    }
    return json.dumps(row | changes) + "\n"


def _file(text: str | bytes, name: str = "faqs.jsonl") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode() if isinstance(text, str) else text)


def _token(text: str) -> str:
    return text.split('name="token" value="')[1].split('"')[0]


def _confirmed(text: str, kind: str = "jsonl") -> dict[str, str]:
    """The form of the preview page as a browser sends it."""
    return {"token": _token(text), "format": kind, "mark": text.split('name="mark" value="')[1].split('"')[0]}


def _upload(client: Client, text: str | bytes, name: str = "faqs.jsonl") -> str:
    return client.post("/faqs/import/", {"file": _file(text, name)}).content.decode()


def test_a_file_is_looked_at_and_then_imported(editor: Client, erin: User) -> None:
    shown = _upload(editor, _line("a") + _line("b"))
    assert "<dt>new</dt><dd>2</dd>" in shown and Faq.objects.count() == 0
    response = editor.post("/faqs/import/confirm/", _confirmed(shown), follow=True)
    assert "Imported: 2 new, 0 changed, 0 as they were." in response.content.decode()
    assert Faq.objects.get(key="a").revisions.get().author == erin
    shown = _upload(editor, _line("a") + _line("b", answer="Another."))
    assert "<dt>changed</dt><dd>1</dd>" in shown and "<dt>as they are</dt><dd>1</dd>" in shown
    assert "There is nothing to import" in _upload(editor, _line("a"))


def test_errors_name_their_lines_and_nothing_is_offered(editor: Client) -> None:
    shown = _upload(editor, _line("a") + "{broken\n" + _line("a") + _line("bad key"))
    assert "Nothing was imported" in shown and 'name="token"' not in shown
    for line in (2, 3, 4):
        assert f'<td class="number">{line}</td>' in shown
    assert Faq.objects.count() == 0


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (_file("x", "faqs.txt"), "must be called .jsonl, .csv or .xlsx"),
        (_file("", "faqs.csv"), "The submitted file is empty"),
        (_file("<script>\n", "a.jsonl"), "cannot be imported yet"),
        (SimpleUploadedFile("a.jsonl", b'{"key": "\xff"}\n'), "cannot be imported yet"),
    ],
)
def test_what_is_no_faq_file_is_told(editor: Client, file: SimpleUploadedFile, sentence: str) -> None:
    file.seek(0)
    assert sentence in editor.post("/faqs/import/", {"file": file}).content.decode()


def test_no_file_at_all(editor: Client) -> None:
    assert "This field is required" in editor.post("/faqs/import/").content.decode()


def test_a_file_that_is_too_large(editor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "MAX_FILE_BYTES", 100)
    assert "larger than 20 MB" in _upload(editor, _line("a") * 5)
    assert faq_files.MAX_FILE_BYTES == 20 * 1024 * 1024


def test_only_what_one_has_looked_at_oneself_can_be_confirmed(editor: Client, omar: User) -> None:
    token = _token(_upload(editor, _line("a")))
    other = Client()
    other.force_login(omar)
    for client, wrong in ((other, token), (editor, "0" * 64), (editor, ""), (editor, "x" * 100_000)):
        text = client.post("/faqs/import/confirm/", {"token": wrong, "format": "jsonl"}, follow=True).content.decode()
        assert "Nothing was imported: This upload is older than 15 minutes" in text
    assert Faq.objects.count() == 0


def test_an_upload_can_be_confirmed_once(editor: Client) -> None:
    form = _confirmed(_upload(editor, _line("a")))
    for _ in range(2):
        editor.post("/faqs/import/confirm/", form)
    assert Faq.objects.get().revision == 1
    assert runtime.valkey().keys("faq-import:*") == []


def test_the_preview_names_what_changes_and_how(editor: Client) -> None:
    editor.post("/faqs/import/confirm/", _confirmed(_upload(editor, _line("a"))))
    shown = _upload(editor, _line("a", answer="Another thing.") + _line("b"))
    assert '<li class="removed">A thing.</li>' in shown and '<li class="added">Another thing.</li>' in shown
    assert "What is b?" in shown and "and 1 more" not in shown


def test_what_was_edited_after_the_look_is_not_overwritten(editor: Client, omar: User) -> None:
    editor.post("/faqs/import/confirm/", _confirmed(_upload(editor, _line("a"))))
    form = _confirmed(_upload(editor, _line("a", answer="From the file.")))
    faq = Faq.objects.get()
    authoring.edit_faq(faq.pk, text=FaqText(question="What is a?", answer="By hand."), expected_revision=1, author=omar)
    text = editor.post("/faqs/import/confirm/", form, follow=True).content.decode()
    assert "Nothing was imported: Some of these FAQs have been changed since you looked" in text
    text = editor.post("/faqs/import/confirm/", form | {"mark": ""}, follow=True).content.decode()
    assert "Nothing was imported" in text and Faq.objects.get().answer == "By hand."


def test_an_import_by_hand_waits_for_a_second_person_where_one_is_asked_for(editor: Client, settings: Any) -> None:
    editor.post("/faqs/import/confirm/", _confirmed(_upload(editor, _line("a"))))
    settings.FAQ_SECOND_PAIR_OF_EYES = True
    shown = _upload(editor, _line("a", answer="Another.") + _line("b"))
    assert "2 of them wait for a review" in shown
    editor.post("/faqs/import/confirm/", _confirmed(shown))
    known, new = Faq.objects.order_by("key")
    assert (known.answer, known.status, known.change_status) == ("A thing.", "published", "review")
    assert (new.answer, new.status) == ("A thing.", "review")


def test_without_redis_the_file_cannot_wait(editor: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*args: object, **kwargs: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(runtime.valkey(), "set", down)
    assert "Please try again in a minute" in _upload(editor, _line("a"))


@pytest.mark.parametrize("kind", ["jsonl", "csv", "xlsx"])
def test_what_is_exported_imports_as_unchanged(editor: Client, kind: str) -> None:
    shown = _upload(editor, _line("a", question="=1+1 what?") + _line("b", locale="zh-hans", answer="好。\n\n- 一"))
    editor.post("/faqs/import/confirm/", _confirmed(shown))
    response = editor.get("/faqs/export/", {"format": kind})
    assert isinstance(response, StreamingHttpResponse)
    assert response["Content-Disposition"].startswith('attachment; filename="faqs-') and response["Content-Disposition"].endswith(
        f'.{kind}"'
    )
    assert response["X-Content-Type-Options"] == "nosniff"
    content = b"".join(response.streaming_content)  # type: ignore[arg-type]
    assert "<dt>as they are</dt><dd>2</dd>" in _upload(editor, content, f"faqs.{kind}")
    assert kind != "csv" or b"\n=1+1" not in content and b",=1+1" not in content


@pytest.mark.django_db(transaction=True)
async def test_export_streams_under_asgi(erin: User) -> None:
    await Faq.objects.acreate(key="a", locale="en", question="What?", answer="That.")
    client = AsyncClient()
    await client.aforce_login(erin)
    response = await client.get("/faqs/export/")
    assert isinstance(response, StreamingHttpResponse) and response.is_async
    pieces = [piece async for piece in response]
    assert json.loads(b"".join(pieces))["key"] == "a"
    await sync_to_async(connections.close_all)()
