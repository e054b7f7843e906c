"""The insight page and the export: who may see them, what they show, and what broken addresses do."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from openpyxl import load_workbook

from chatbot.conversations.models import Message
from chatbot.insights import definitions, facts
from chatbot.learning.models import Satisfaction
from chatbot.quality.models import Gap, GapQuestion
from chatbot.staffing.models import AuditEntry, Team
from support_portal.accounts import roles
from support_portal.accounts.models import User
from tests.insights.talk import HOUR, Talk

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(dana: User) -> Talk:
    """A handful of conversations of the last days. Returns one with a person."""
    team = Team.objects.create(name="Workshop")
    for number in range(6):
        Talk(begun=(number + 2) * 24 * HOUR, topic="Delivery").asks().replies(
            rating=1 if number % 2 else 0, source="delivery-cost"
        )
    Talk(topic="Returns", language="zh-hans", sentiment="negative").asks().replies("handoff", ttft_ms=900.0, completion_tokens=9)
    talk = Talk(team=team, topic="=cmd|' /C calc'!A0").asks().waits().person(dana).ends().rated("person", 2)
    facts.refresh()
    return talk


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def lead(db: None) -> User:
    return User.objects.create_user(username="lena", password="correct horse battery", role=User.Role.LEAD)


@pytest.mark.parametrize(
    "path", ["/insights/", "/insights/export/", "/insights/conversations.csv", "/insights/conversations.xlsx"]
)
def test_only_leads_and_administrators(dana: User, erin: User, omar: User, lead: User, path: str) -> None:
    assert [signed_in(user).get(path).status_code for user in (dana, erin, lead, omar)] == [403, 403, 200, 200]
    assert signed_in(omar).post(path).status_code == 405


def test_every_number_is_defined_on_the_page(told: Talk, omar: User) -> None:
    page = signed_in(omar).get("/insights/").content.decode()
    for definition in definitions.DEFINITIONS:
        assert definition.sentence.replace("'", "&#x27;") in page, definition.name
    assert "The bot answered 75 % of the conversations without a person" in page
    assert "Delivery is asked about most (75 % of the conversations)" in page
    assert "Dana" in page and "Workshop" in page and "Asked for a person" in page


def test_an_empty_house_says_so(omar: User) -> None:
    page = signed_in(omar).get("/insights/").content.decode()
    assert "No conversations in this period" in page and "Not counted yet" in page


@pytest.mark.parametrize(
    "query",
    [
        *("period=7", "period=90", "period=month", "period=last_month", "period=custom&from=2024-01-01&until=2026-01-01"),
        *("language=zh-hans", "channel=page", "team=1", "team=999999", "language=%00&channel=%27%3B--"),
    ],
)
def test_periods_and_filters(told: Talk, omar: User, query: str) -> None:
    response = signed_in(omar).get(f"/insights/?{query}")
    assert response.status_code == 200 and response.context["chosen"].problem == ""


@pytest.mark.parametrize(
    "query",
    [
        *("period=", "period=forever", "period=custom", "period=custom&from=x&until=y"),
        "period=custom&from=2026-02-02&until=2026-02-01",
        *("period=custom&from=0001-01-01&until=9999-12-31", "team=x", "team=" + "9" * 30, "team=%C2%B2"),
    ],
)  # fmt: skip
def test_a_broken_address_shows_the_default_and_says_so(told: Talk, omar: User, query: str) -> None:
    response = signed_in(omar).get(f"/insights/?{query}")
    assert response.status_code == 200
    assert response.context["chosen"].selection.period.days == 30
    assert bool(response.context["chosen"].problem) == (query != "period=")


def test_the_query_count_does_not_grow(told: Talk, omar: User) -> None:
    client = signed_in(omar)

    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            client.get("/insights/")
        return len([query for query in caught if "SAVEPOINT" not in query["sql"]])

    few = queries()
    for number in range(10):
        Talk(topic=f"Topic {number}").asks().replies(source=f"source-{number}")
    facts.refresh()
    assert (few, queries()) == (17, 17)


def test_gaps_are_told_in_customers_words_only_to_who_may_read_them(
    told: Talk, omar: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = told.conversation.messages.filter(role="customer").get()
    Message.objects.filter(pk=message.pk).update(text="Do you rent tandems?")
    GapQuestion.objects.create(gap=Gap.objects.create(), message=message, kind="refused", locale="en", asked_at=timezone.now())
    assert "Asked in vain most: Do you rent tandems?" in signed_in(omar).get("/insights/").content.decode()
    monkeypatch.setitem(roles.RIGHTS, User.Role.ADMIN, frozenset({"read_insights"}))
    page = signed_in(omar).get("/insights/").content.decode()
    assert "Asked in vain most: gap" in page and "tandems" not in page


def _csv_rows(response: Any) -> list[dict[str, str]]:
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_one_row_a_conversation_without_its_words(told: Talk, omar: User, dana: User) -> None:
    response = signed_in(omar).get("/insights/conversations.csv")
    rows = _csv_rows(response)
    assert len(rows) == 8 and "transcript" not in rows[0]
    row = next(row for row in rows if row["conversation"] == str(told.conversation.pk))
    assert (row["outcome"], row["team"], row["agent"], row["csat_person"]) == ("handed_off", "Workshop", "Dana", "2")
    assert row["topic"] == "'=cmd|' /C calc'!A0"
    assert "Words." not in str(rows)
    entry = AuditEntry.objects.get(action="insights.exported")
    assert (entry.actor_id, entry.detail["rows"], entry.detail["text"]) == (omar.pk, 8, False)


def test_words_go_to_who_may_read_them(told: Talk, omar: User, monkeypatch: pytest.MonkeyPatch) -> None:
    Satisfaction.objects.update(comment="+1 for Dana")
    rows = _csv_rows(signed_in(omar).get("/insights/conversations.csv?text=1"))
    row = next(row for row in rows if row["conversation"] == str(told.conversation.pk))
    assert row["transcript"].startswith("Customer: Words.") and row["csat_comments"] == "'+1 for Dana"
    monkeypatch.setitem(roles.RIGHTS, User.Role.ADMIN, frozenset({"read_insights"}))
    assert signed_in(omar).get("/insights/conversations.csv?text=1").status_code == 403
    assert signed_in(omar).get("/insights/conversations.csv").status_code == 200


def test_a_workbook_that_a_spreadsheet_program_reads(told: Talk, omar: User) -> None:
    response = signed_in(omar).get("/insights/conversations.xlsx?text=1")
    sheet = load_workbook(io.BytesIO(b"".join(response.streaming_content))).active
    rows = list(sheet.iter_rows())
    names = [cell.value for cell in rows[0]]
    row = next(row for row in rows if row[0].value == str(told.conversation.pk))
    topic, begun = row[names.index("topic")], row[names.index("begun")]
    assert (len(rows), topic.value, topic.data_type, topic.quotePrefix) == (9, "=cmd|' /C calc'!A0", "s", True)
    assert begun.is_date and abs((begun.value - told.conversation.created_at.replace(tzinfo=None)).days) <= 6
    assert row[names.index("resolution_s")].value == 180


def test_the_export_is_for_the_chosen_period(told: Talk, omar: User) -> None:
    assert len(_csv_rows(signed_in(omar).get("/insights/conversations.csv?language=zh-hans"))) == 1
    page = signed_in(omar).get("/insights/export/?language=zh-hans").content.decode()
    assert "1 conversation, one row each" in page and 'name="language" value="zh-hans"' in page
