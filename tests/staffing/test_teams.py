from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from chatbot.errors import Conflict, InvalidInput, NotFound
from chatbot.staffing.access import default_team
from chatbot.staffing.models import AuditEntry, Team
from chatbot.staffing.teams import Span, TeamPlan, add_team, change_team, remove_team
from support_portal.accounts.models import User

pytestmark = pytest.mark.django_db
PLAN = TeamPlan("Berlin", "Europe/Berlin", False, frozenset(), (Span(0, 540, 1020),), ((date(2026, 12, 25), "Christmas"),))


def test_a_team_is_added_changed_and_removed_and_each_is_on_record(dana: User, omar: User) -> None:
    team = add_team(replace(PLAN, member_ids=frozenset({dana.pk})), changed_by_id=omar.pk)
    assert list(team.members.all()) == [dana]
    change_team(team.pk, replace(PLAN, hours=(*PLAN.hours, Span(1, 0, 1440))), changed_by_id=omar.pk)
    change_team(team.pk, replace(PLAN, hours=(*PLAN.hours, Span(1, 0, 1440))), changed_by_id=omar.pk)  # the same again: nothing
    remove_team(team.pk, changed_by_id=omar.pk)
    found = [(entry.action, entry.actor_name) for entry in AuditEntry.objects.order_by("id")]
    assert found == [("team.added", "omar"), ("team.changed", "omar"), ("team.removed", "omar")]
    assert AuditEntry.objects.get(action="team.changed").detail == {"fields": ["member_ids", "hours"], "left": [dana.pk]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"time_zone": "Europe/Atlantis"}, "time_zone"),
        ({"hours": ()}, "always_open"),
        ({"hours": (Span(0, 540, 540),)}, "day_0"),
        ({"hours": (Span(7, 540, 600),)}, "day_7"),
        ({"hours": (Span(3, 540, 720), Span(3, 700, 800))}, "day_3"),
        ({"holidays": ((date(2026, 1, 1), ""), (date(2026, 1, 1), "again"))}, "holidays"),
    ],
)
def test_what_makes_no_sense_is_refused_and_its_field_named(omar: User, change: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        add_team(replace(PLAN, **change), changed_by_id=omar.pk)  # type: ignore[arg-type]
    assert refused.value.field == field
    assert not Team.objects.exists() and not AuditEntry.objects.exists()


def test_a_name_is_had_once_and_the_default_team_stays(omar: User) -> None:
    team = default_team()
    with pytest.raises(Conflict, match="Another team has this name"):
        add_team(replace(PLAN, name=team.name), changed_by_id=omar.pk)
    with pytest.raises(Conflict, match="so it stays"):
        remove_team(team.pk, changed_by_id=omar.pk)
    with pytest.raises(NotFound):
        change_team(999_999, PLAN, changed_by_id=omar.pk)


def test_a_deactivated_person_joins_no_team(dana: User, omar: User) -> None:
    dana.is_active = False
    dana.save()
    assert not add_team(replace(PLAN, member_ids=frozenset({dana.pk})), changed_by_id=omar.pk).members.exists()
