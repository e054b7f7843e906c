"""The team pages: who is in a team and when it is there. Team leads change their own teams, administrators all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatbot.errors import ChatbotError, NotFound
from chatbot.staffing import access
from chatbot.staffing.hours import closes_at, is_open, next_opening
from chatbot.staffing.models import Team
from chatbot.staffing.teams import add_team, change_team, remove_team
from support_portal.accounts.models import User
from support_portal.accounts.roles import may, requires
from support_portal.accounts.team_forms import TeamForm, initial_of


@dataclass(frozen=True)
class TeamRow:
    team: Team
    open: bool
    words: str
    may_change: bool


@requires("lead_teams")
@require_GET
def teams(request: HttpRequest) -> HttpResponse:
    user, now = cast(User, request.user), timezone.now()
    rows = [TeamRow(team, is_open(team, now), words_of(team, now), may_change(user, team)) for team in access.teams()]
    return render(request, "accounts/teams.html", {"section": "people", "tab": "teams", "rows": rows})


@requires("manage_teams")
@require_http_methods(["GET", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    form = TeamForm(request.POST or None, initial={"time_zone": timezone.get_default_timezone_name(), "always_open": True})
    if request.method == "POST" and form.is_valid():
        try:
            team = add_team(form.plan(), changed_by_id=cast(int, request.user.pk))
        except ChatbotError as error:
            form.add_error(error.field or None, error.message)
        else:
            messages.success(request, f"{team.name} is added.")
            return redirect("people:teams")
    return render(request, "accounts/team.html", {"section": "people", "tab": "teams", "form": form})


@requires("lead_teams")
@require_http_methods(["GET", "POST"])
def team(request: HttpRequest, *, team_id: int) -> HttpResponse:
    subject = _team(request, team_id)
    form = TeamForm(request.POST or None, initial=initial_of(subject))
    if request.method == "POST" and form.is_valid():
        try:
            change_team(team_id, form.plan(), changed_by_id=cast(int, request.user.pk))
        except ChatbotError as error:
            form.add_error(error.field or None, error.message)
        else:
            messages.success(request, "Saved.")
            return redirect("people:team", team_id=team_id)
    now = timezone.now()
    state = {"subject": subject, "open": is_open(subject, now), "words": words_of(subject, now)}
    return render(request, "accounts/team.html", {"section": "people", "tab": "teams", "form": form, **state})


@requires("manage_teams")
@require_POST
def remove(request: HttpRequest, *, team_id: int) -> HttpResponse:
    try:
        remove_team(team_id, changed_by_id=cast(int, request.user.pk))
    except NotFound as error:
        raise Http404 from error
    except ChatbotError as error:
        messages.error(request, error.message)
        return redirect("people:team", team_id=team_id)
    messages.success(request, "The team is removed.")
    return redirect("people:teams")


def may_change(user: User, team: Team) -> bool:
    return may(user, "manage_teams") or (may(user, "lead_teams") and any(member.pk == user.pk for member in team.members.all()))


def words_of(team: Team, now: datetime) -> str:
    """When the team goes home, or comes back, on its own clock."""
    if team.always_open:
        return "always there"
    closing, opening = closes_at(team, now), next_opening(team, now)
    if closing is not None:
        return f"there until {_on_its_clock(team, closing, now)}"
    return f"back {_on_its_clock(team, opening, now)}" if opening else "never there: no hours are set"


def _on_its_clock(team: Team, moment: datetime, now: datetime) -> str:
    zone = ZoneInfo(team.time_zone)
    local, today = moment.astimezone(zone), now.astimezone(zone).date()
    return local.strftime("%H:%M") if local.date() == today else local.strftime("%A, %-d %B, %H:%M")


def _team(request: HttpRequest, team_id: int) -> Team:
    try:
        found = access.access_team(team_id)
    except NotFound as error:
        raise Http404 from error
    if not may_change(cast(User, request.user), found):
        raise PermissionDenied
    return found
