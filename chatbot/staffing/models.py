"""Who is there for customers, and when; and the list of what people did with their rights."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q

MINUTES_A_DAY = 24 * 60


class Team(models.Model):
    """People who answer customers together, at the same hours of the same clock."""

    name = models.CharField(max_length=80, unique=True)
    # The team of everything that names no other; there is at most one, made by access.default_team().
    is_default = models.BooleanField(default=False)
    time_zone = models.CharField(max_length=60, default="UTC")
    # Hours and holidays count only where this is off.
    always_open = models.BooleanField(default=True)
    members: models.ManyToManyField[Any, Any] = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="teams", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["is_default"], name="team_one_default", condition=Q(is_default=True))]

    def __str__(self) -> str:
        return self.name


class OpeningHours(models.Model):
    """One span of one weekday, on the team's own clock. Past midnight is a second span on the next day."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="hours")
    # 0 is Monday, as in date.weekday().
    weekday = models.PositiveSmallIntegerField()
    opens_minute = models.PositiveSmallIntegerField()
    closes_minute = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["weekday", "opens_minute"]
        constraints = [
            models.UniqueConstraint(fields=["team", "weekday", "opens_minute"], name="hours_span_once"),
            models.CheckConstraint(name="hours_weekday_known", condition=Q(weekday__lte=6)),
            models.CheckConstraint(
                name="hours_close_after_open",
                condition=Q(opens_minute__lt=F("closes_minute")) & Q(closes_minute__lte=MINUTES_A_DAY),
            ),
        ]

    def __str__(self) -> str:
        return f"day {self.weekday}, minutes {self.opens_minute} to {self.closes_minute}"


class Holiday(models.Model):
    """A whole day, on the team's own calendar, on which nobody is there."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="holidays")
    day = models.DateField()
    name = models.CharField(max_length=80, blank=True, default="")

    class Meta:
        ordering = ["day"]
        constraints = [models.UniqueConstraint(fields=["team", "day"], name="holiday_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.name}"


class AuditEntry(models.Model):
    """What somebody did with a right. A trigger of the database refuses to change, delete or truncate rows.

    The account is a plain number and its name a copy: an entry outlives the account it names.
    """

    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    # Empty for commands on the server and for the product itself.
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_name = models.CharField(max_length=150, blank=True, default="")
    action = models.CharField(max_length=60)
    object = models.CharField(max_length=200, blank=True, default="")
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["actor_id", "-id"], name="audit_of_actor"),
            models.Index(fields=["action", "-id"], name="audit_of_action"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object}"
