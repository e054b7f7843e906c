"""Change teams: who is in them, and when they are there. The caller has checked the right; every change is in the audit log."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from zoneinfo import available_timezones

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from chatbot.errors import Conflict, InvalidInput, NotFound
from chatbot.staffing import audit
from chatbot.staffing.models import MINUTES_A_DAY, Holiday, OpeningHours, Team

MAX_HOLIDAYS = 400


@dataclass(frozen=True)
class Span:
    """From a minute of the day to another, the second not included. 0 is Monday; 1440 is midnight at the day's end."""

    weekday: int
    opens_minute: int
    closes_minute: int


@dataclass(frozen=True)
class TeamPlan:
    name: str
    time_zone: str
    always_open: bool
    member_ids: frozenset[int]
    hours: tuple[Span, ...] = ()
    holidays: tuple[tuple[date, str], ...] = ()


def add_team(plan: TeamPlan, *, changed_by_id: int) -> Team:
    _refuse_problems(plan)
    with transaction.atomic():
        team = Team(name=plan.name, time_zone=plan.time_zone, always_open=plan.always_open)
        _save_named(team)
        _fill(team, plan)
        audit.record(changed_by_id, "team.added", f"team {team.pk}", {"members": len(plan.member_ids)})
    return team


def change_team(team_id: int, plan: TeamPlan, *, changed_by_id: int) -> Team:
    """Replace everything about the team by the plan. Raises NotFound, InvalidInput, or Conflict for a name that is taken."""
    _refuse_problems(plan)
    with transaction.atomic():
        team = _locked(team_id)
        before = _plan_of(team)
        changed = [field for field in TeamPlan.__dataclass_fields__ if getattr(before, field) != getattr(plan, field)]
        if not changed:
            return team
        team.name, team.time_zone, team.always_open = plan.name, plan.time_zone, plan.always_open
        _save_named(team)
        _fill(team, plan)
        joined, left = sorted(plan.member_ids - before.member_ids), sorted(before.member_ids - plan.member_ids)
        detail: dict[str, audit.Value | list[str] | list[int]] = {"fields": changed}
        detail |= {key: ids[: audit.MAX_ITEMS] for key, ids in (("joined", joined), ("left", left)) if ids}
        audit.record(changed_by_id, "team.changed", f"team {team.pk}", detail)
    return team


def remove_team(team_id: int, *, changed_by_id: int) -> None:
    """Its conversations go to the default team, which itself stays: Conflict."""
    with transaction.atomic():
        team = _locked(team_id)
        if team.is_default:
            raise Conflict("This team takes everything that names no other, so it stays.")
        audit.record(changed_by_id, "team.removed", f"team {team.pk}")
        team.delete()


def _locked(team_id: int) -> Team:
    team = Team.objects.select_for_update().filter(pk=team_id).first()
    if team is None:
        raise NotFound("This team does not exist.", code="team_not_found")
    return team


def _plan_of(team: Team) -> TeamPlan:
    return TeamPlan(
        name=team.name,
        time_zone=team.time_zone,
        always_open=team.always_open,
        member_ids=frozenset(team.members.values_list("pk", flat=True)),
        hours=tuple(Span(row.weekday, row.opens_minute, row.closes_minute) for row in team.hours.all()),
        holidays=tuple((row.day, row.name) for row in team.holidays.all()),
    )


def _save_named(team: Team) -> None:
    try:
        with transaction.atomic():
            team.save()
    except IntegrityError as error:
        raise Conflict("Another team has this name.", field="name") from error


def _fill(team: Team, plan: TeamPlan) -> None:
    known = get_user_model().objects.filter(pk__in=plan.member_ids, is_active=True)
    team.members.set(known)
    team.hours.all().delete()
    OpeningHours.objects.bulk_create(
        OpeningHours(team=team, weekday=span.weekday, opens_minute=span.opens_minute, closes_minute=span.closes_minute)
        for span in plan.hours
    )
    team.holidays.all().delete()
    Holiday.objects.bulk_create(Holiday(team=team, day=day, name=name) for day, name in plan.holidays)


def _refuse_problems(plan: TeamPlan) -> None:
    if not plan.name.strip():
        raise InvalidInput("A team needs a name.", field="name")
    if plan.time_zone not in available_timezones():
        raise InvalidInput("Choose one of the time zones.", field="time_zone")
    _refuse_overlaps(plan.hours)
    if len(plan.holidays) > MAX_HOLIDAYS:
        raise InvalidInput(f"At most {MAX_HOLIDAYS} holidays; take the past ones out.", field="holidays")
    if len({day for day, _ in plan.holidays}) < len(plan.holidays):
        raise InvalidInput("A day stands twice among the holidays.", field="holidays")
    if not plan.always_open and not plan.hours:
        raise InvalidInput("Give at least one day its hours, or tick “always there”.", field="always_open")


def _refuse_overlaps(hours: Collection[Span]) -> None:
    ordered = sorted(hours, key=lambda span: (span.weekday, span.opens_minute))
    for span in ordered:
        if not (0 <= span.weekday <= 6 and 0 <= span.opens_minute < span.closes_minute <= MINUTES_A_DAY):
            raise InvalidInput("A span of hours ends after it begins, on the same day.", field=f"day_{span.weekday}")
    for earlier, later in zip(ordered, ordered[1:], strict=False):
        if earlier.weekday == later.weekday and later.opens_minute < earlier.closes_minute:
            raise InvalidInput("Two spans of this day overlap.", field=f"day_{later.weekday}")
