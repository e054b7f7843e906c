"""A spreadsheet of questions goes through the FAQ import with its preview."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from chatbot.knowledge.models import Faq
from support_portal.accounts.models import User
from tests.documents.files import xlsx_of

pytestmark = pytest.mark.django_db
COLUMNS = ["key", "locale", "question", "answer"]


def _upload(client: Client, content: bytes) -> str:
    return client.post("/faqs/import/", {"file": SimpleUploadedFile("faqs.xlsx", content)}).content.decode()


def test_a_sheet_is_looked_at_like_a_csv(client: Client, erin: User) -> None:
    client.force_login(erin)
    shown = _upload(client, xlsx_of([COLUMNS, ["a", "en", "What is a?", "A thing."]]))
    assert "<dt>new</dt><dd>1</dd>" in shown and Faq.objects.count() == 0
    wrong = _upload(client, xlsx_of([COLUMNS, ["a", "en", "What is a?", "A thing."], ["bad key", "en", "What?", "That."]]))
    assert '<td class="number">3</td>' in wrong and 'name="token"' not in wrong
    assert "cannot be unpacked" in _upload(client, b"PK\x03\x04 broken")
