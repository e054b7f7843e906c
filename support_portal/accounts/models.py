"""The people who work here. Customers are not users: they are `conversations.Customer`, known by a signed cookie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models


class Users(UserManager["User"]):
    """`manage.py createsuperuser` makes an administrator: the role decides, Django's own flags decide nothing here."""

    def create_superuser(self, *args: Any, **fields: Any) -> User:
        return super().create_superuser(*args, **{"role": User.Role.ADMIN, **fields})


class User(AbstractUser):
    class Role(models.TextChoices):
        AGENT = "agent", "Agent"
        LEAD = "lead", "Team lead"
        EDITOR = "editor", "Editor"
        ADMIN = "admin", "Administrator"

    role = models.CharField(max_length=10, choices=Role.choices, default=Role.AGENT)
    # Set with a password that someone else has seen; no staff page opens before the person has chosen an own one.
    must_change_password = models.BooleanField(default=False)

    # Part of what every session is checked against: raising it ends all sessions of this person (sessions.end_sessions).
    session_version = models.PositiveIntegerField(default=0)

    objects: ClassVar[Users] = Users()

    class Meta:
        constraints = [
            models.CheckConstraint(name="user_role_known", condition=models.Q(role__in=["agent", "lead", "editor", "admin"]))
        ]

    @property
    def display_name(self) -> str:
        return self.get_full_name() or self.username

    def get_session_auth_hash(self) -> str:
        """Void every session whose password, or whose session version, is not the present one."""
        return self._versioned(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        return (self._versioned(former) for former in super().get_session_auth_fallback_hash())

    def _versioned(self, auth_hash: str) -> str:
        return f"{auth_hash}.{self.session_version}"
