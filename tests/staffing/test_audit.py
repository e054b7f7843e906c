"""The audit log takes entries, refuses words, and lets nobody change or remove a line."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from chatbot.staffing import audit
from chatbot.staffing.models import AuditEntry
from support_portal.accounts.models import User


@pytest.mark.django_db
def test_an_entry_keeps_the_name_of_that_day(omar: User) -> None:
    audit.record(omar.pk, "faq.published", "faq returns", {"locale": "en", "keys": ["a", "b"]})
    User.objects.filter(pk=omar.pk).update(username="somebody-else")
    entry = AuditEntry.objects.get()
    assert (entry.actor_name, entry.action, entry.object, entry.detail) == (
        *("omar", "faq.published", "faq returns"),
        {"locale": "en", "keys": ["a", "b"]},
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("action", "detail"),
    [
        ("published", {}),
        ("faq.Published!", {}),
        ("faq.published", {"note": "x" * 121}),
        ("faq.published", {"keys": ["k"] * 51}),
        ("faq.published", {"nested": {"a": "b"}}),
    ],
)
def test_what_could_be_somebodys_words_is_refused(action: str, detail: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        audit.record(None, action, "faq x", detail)  # type: ignore[arg-type]
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_nothing_is_recorded() -> None:
    with pytest.raises(RuntimeError, match="belongs into the transaction"):
        audit.record(None, "faq.published")
    with pytest.raises(RuntimeError, match="stop"), transaction.atomic():
        audit.record(None, "faq.published")
        raise RuntimeError("stop")
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE staffing_auditentry SET action = 'x.y'",
        "DELETE FROM staffing_auditentry",
        "TRUNCATE staffing_auditentry",
        "INSERT INTO staffing_auditentry SELECT * FROM staffing_auditentry ON CONFLICT (id) DO UPDATE SET action = 'x.y'",
    ],
)
def test_no_statement_changes_or_removes_a_line(statement: str) -> None:
    audit.record(None, "faq.published")
    with connection.cursor() as cursor:
        # tests/conftest.py takes this one trigger away, because tests empty their tables.
        cursor.execute("ALTER TABLE staffing_auditentry ENABLE TRIGGER audit_no_truncate")
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute(statement)
    assert AuditEntry.objects.get().action == "faq.published"
