"""How other rooms find the team that they need."""

from __future__ import annotations

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from chatbot.errors import NotFound
from chatbot.staffing.models import Team

DEFAULT_NAME = "Support"


def default_team() -> Team:
    """The team of everything that names no other. Made when it is first asked for: always open, in the site's time zone."""
    found = Team.objects.filter(is_default=True).first()
    if found is not None:
        return found
    try:
        with transaction.atomic():
            same_name = Team.objects.select_for_update().filter(name=DEFAULT_NAME).first()
            team = same_name or Team(name=DEFAULT_NAME, time_zone=settings.TIME_ZONE)
            team.is_default = True
            team.save()
            return team
    except IntegrityError:  # Somebody else made it in the meantime.
        return Team.objects.get(is_default=True)


def teams() -> QuerySet[Team]:
    """All teams, the default one first, with what is_open() reads."""
    default_team()
    return Team.objects.prefetch_related("hours", "holidays", "members").order_by("-is_default", "name", "pk")


def access_team(team_id: int) -> Team:
    """Any team; the caller has checked the right. Raises NotFound."""
    team = Team.objects.filter(pk=team_id).prefetch_related("hours", "holidays", "members").first()
    if team is None:
        raise NotFound("This team does not exist.", code="team_not_found")
    return team


def teams_of(user_id: int) -> list[Team]:
    return list(Team.objects.filter(members=user_id).order_by("name", "pk"))
