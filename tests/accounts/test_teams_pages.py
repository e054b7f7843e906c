"""The team pages: hours as people type them, and who may change which team."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.test import Client

from chatbot.staffing.access import default_team
from chatbot.staffing.models import Team
from chatbot.staffing.teams import Span
from support_portal.accounts.models import User
from support_portal.accounts.team_forms import holidays_of, spans_of

pytestmark = pytest.mark.django_db
FORM: dict[str, Any] = {
    "name": "Berlin",
    "time_zone": "Europe/Berlin",
    "day_0": "9-12:30, 13.00 – 17:00",
    "holidays": "2026-12-25 Christmas",
}


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("", ()),
        ("09:00-17:00", (Span(2, 540, 1020),)),
        ("13:00–17:00; 9-12:30", (Span(2, 540, 750), Span(2, 780, 1020))),
        ("0:00-24:00", (Span(2, 0, 1440),)),
    ],
)
def test_hours_are_read_as_people_write_them(text: str, spans: tuple[Span, ...]) -> None:
    assert spans_of(text, weekday=2) == spans


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nine to five", "is not understood. Write 09:00-17:00"),
        ("22:00-06:00", "ends before it begins. Past midnight?"),
        ("09:00-25:00", "is not a time of the day"),
        ("09:70-10:00", "is not a time of the day"),
        ("9-12, 11-15", "overlap"),
    ],
)
def test_hours_that_are_not_understood_say_how(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        spans_of(text, weekday=0)


def test_holidays_are_read_a_line_each() -> None:
    assert holidays_of("2026-12-25 Christmas Day\n\n2026-05-01\n") == (
        (date(2026, 5, 1), ""),
        (date(2026, 12, 25), "Christmas Day"),
    )
    for text, sentence in (
        ("25.12.2026", "Line 1 does not begin"),
        ("2026-02-30", "Line 1"),
        ("2026-05-01\n2026-05-01 x", "second time"),
    ):
        with pytest.raises(ValueError, match=sentence):
            holidays_of(text)


def test_an_administrator_adds_a_team_and_its_hours_come_back_as_text(client: Client, omar: User, dana: User) -> None:
    client.force_login(omar)
    assert client.post("/people/teams/add/", FORM | {"members": [dana.pk]})["Location"] == "/people/teams/"
    team = Team.objects.get(name="Berlin")
    page = client.get(f"/people/teams/{team.pk}/").content.decode()
    assert 'value="09:00-12:30, 13:00-17:00"' in page and "2026-12-25 Christmas" in page
    assert "Berlin" in client.get("/people/teams/").content.decode()
    assert client.post(f"/people/teams/{team.pk}/remove/").status_code == 302
    assert not Team.objects.filter(name="Berlin").exists()


def test_mistakes_stand_at_their_fields_and_nothing_is_lost(client: Client, omar: User) -> None:
    client.force_login(omar)
    text = client.post("/people/teams/add/", FORM | {"day_3": "22-6", "holidays": "Christmas"}).content.decode()
    assert "Past midnight?" in text and "Line 1 does not begin" in text and "9-12:30, 13.00 – 17:00" in text
    text = client.post("/people/teams/add/", {"name": "Empty", "time_zone": "UTC"}).content.decode()
    assert "Give at least one day its hours" in text
    assert not Team.objects.filter(is_default=False).exists()


def test_a_lead_changes_the_own_team_only(client: Client, lena: User) -> None:
    own, other = default_team(), Team.objects.create(name="Other")
    own.members.add(lena)
    client.force_login(lena)
    assert f"/people/teams/{other.pk}/" not in client.get("/people/teams/").content.decode()
    assert client.post(f"/people/teams/{own.pk}/", FORM | {"members": [lena.pk]}).status_code == 302
    assert (
        client.post(f"/people/teams/{other.pk}/", FORM).status_code == client.get(f"/people/teams/{other.pk}/").status_code == 403
    )
    other.refresh_from_db()
    own.refresh_from_db()
    assert (own.name, other.name) == ("Berlin", "Other")
    assert client.get("/people/teams/999999/").status_code == 404
