"""The people who work here. Customers are not users: they are `conversations.Customer`, known by a signed cookie."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    class Role(models.TextChoices):
        AGENT = "agent", "Agent"
        EDITOR = "editor", "Editor"
        ADMIN = "admin", "Administrator"

    role = models.CharField(max_length=10, choices=Role.choices, default=Role.AGENT)
    # Set with a password that someone else has seen; no staff page opens before the person has chosen an own one.
    must_change_password = models.BooleanField(default=False)

    class Meta:
        constraints = [models.CheckConstraint(name="user_role_known", condition=models.Q(role__in=["agent", "editor", "admin"]))]

    @property
    def display_name(self) -> str:
        return self.get_full_name() or self.username
