"""The audit log as administrators read it."""

from __future__ import annotations

import csv
import io

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from chatbot.staffing import audit
from chatbot.staffing.models import AuditEntry
from support_portal.accounts.audit_views import FILE_ENTRIES, PAGE_ENTRIES
from support_portal.accounts.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client, omar: User) -> Client:
    client.force_login(omar)
    return client


def test_filters_find_what_was_done(admin: Client, omar: User, dana: User) -> None:
    audit.record(omar.pk, "person.added", f"user {dana.pk}", {"role": "agent"})
    audit.record(dana.pk, "faq.published", "faq returns")
    audit.record(None, "version.made_live", "version tuned")
    shown = lambda query: [entry.action for entry in admin.get(f"/people/audit/?{query}").context["entries"]]  # noqa: E731
    assert shown("") == ["version.made_live", "faq.published", "person.added"]
    assert shown(f"who={dana.pk}") == ["faq.published"]
    assert shown("who=server") == ["version.made_live"]
    assert shown("action=person.added&object=USER") == ["person.added"]
    assert shown("since=2020-01-01&until=2020-12-31") == []
    assert "role: agent" in admin.get("/people/audit/").content.decode()


@pytest.mark.parametrize(
    "query", ["since=yesterday", "before=-1", "before=99999999999999999999999", "who=%00", "action=" + "x" * 900]
)
def test_a_filter_that_makes_no_sense_is_told_and_left_out(admin: Client, query: str) -> None:
    audit.record(None, "version.made_live", "version tuned")
    response = admin.get(f"/people/audit/?{query}")
    assert response.status_code == 200 and "was not understood" in response.content.decode()
    assert admin.get(f"/people/audit/export/?{query}").status_code == 200


def test_a_long_log_has_pages_that_cost_the_same(admin: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    AuditEntry.objects.bulk_create(AuditEntry(action="faq.edited", object=f"faq {n}") for n in range(2 * PAGE_ENTRIES + 5))
    with django_assert_num_queries(5):
        first = admin.get("/people/audit/?action=faq.edited")
    second = admin.get(f"/people/audit/?{first.context['older']}")
    third = admin.get(f"/people/audit/?{second.context['older']}")
    names = [entry.object for page in (first, second, third) for entry in page.context["entries"]]
    assert names == [f"faq {n}" for n in reversed(range(2 * PAGE_ENTRIES + 5))] and not third.context["older"]


def test_the_file_holds_everything_and_no_formula(admin: Client) -> None:
    AuditEntry.objects.bulk_create(AuditEntry(action="faq.edited", object=f"faq {n}") for n in range(FILE_ENTRIES + 3))
    for number, bad in enumerate(['=HYPERLINK("x")', "+1", "-1", "@SUM(A1)", " =1", "\t=1"]):
        audit.record(None, "person.added", bad, {"n": number})
    response = admin.get("/people/audit/export/")
    text = response.getvalue().decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == 1 + FILE_ENTRIES + 3 + 6
    assert not [cell for row in rows for cell in row if cell.lstrip()[:1] in tuple("=+-@")]
    assert response["Content-Type"].startswith("text/csv") and "attachment" in response["Content-Disposition"]
