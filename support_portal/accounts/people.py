"""What administrators do with the people who work here. Views call these; nothing else changes a user's rights."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from chatbot.errors import Conflict, InvalidInput, NotFound
from support_portal.accounts.models import User


@dataclass(frozen=True)
class NewPassword:
    """A password that is shown to the administrator once; the database keeps only its hash."""

    user: User
    password: str


def add_person(username: str, *, name: str, email: str, role: str) -> NewPassword:
    """Raises Conflict when somebody has the name already, in whatever case it is written."""
    if User.objects.filter(username__iexact=username).exists():
        raise Conflict(f"Somebody already signs in as “{username}”.", field="username")
    user = User(username=username, first_name=name, email=email, role=role)
    try:
        with transaction.atomic():
            return _with_new_password(user)
    except IntegrityError as error:
        raise Conflict(f"Somebody already signs in as “{username}”.", field="username") from error


@transaction.atomic
def change_person(user_id: int, *, name: str, email: str, role: str, changed_by: User) -> User:
    user = _locked(user_id)
    if role not in User.Role.values:
        raise InvalidInput("Choose one of the roles.", field="role")
    if role != user.role and user.role == User.Role.ADMIN:
        _require_another_admin(user, changed_by=changed_by, action="take the administrator role from")
    user.first_name, user.email, user.role = name, email, role
    user.save(update_fields=["first_name", "email", "role"])
    return user


@transaction.atomic
def deactivate_person(user_id: int, *, changed_by: User) -> User:
    """End the person's access at once. Without a password every session of theirs is void, for good."""
    user = _locked(user_id)
    _require_another_admin(user, changed_by=changed_by, action="deactivate")
    user.is_active = False
    user.set_unusable_password()
    user.save(update_fields=["is_active", "password"])
    return user


@transaction.atomic
def reactivate_person(user_id: int) -> NewPassword:
    user = _locked(user_id)
    user.is_active = True
    return _with_new_password(user)


@transaction.atomic
def reset_password(user_id: int) -> NewPassword:
    """Give the person a new one-time password; the sessions opened with the old one end."""
    user = _locked(user_id)
    if not user.is_active:
        raise Conflict("This account is deactivated. Reactivate it first.")
    return _with_new_password(user)


def _with_new_password(user: User) -> NewPassword:
    password = secrets.token_urlsafe(12)
    user.set_password(password)
    user.must_change_password = True
    user.save()
    return NewPassword(user=user, password=password)


def _locked(user_id: int) -> User:
    """Lock the person and all active administrators, in one order, so that two of them cannot remove each other."""
    list(User.objects.select_for_update().filter(role=User.Role.ADMIN, is_active=True).order_by("pk"))
    try:
        return User.objects.select_for_update().get(pk=user_id)
    except User.DoesNotExist as error:
        raise NotFound("There is no such person.") from error


def _require_another_admin(user: User, *, changed_by: User, action: str) -> None:
    if user.pk == changed_by.pk:
        raise Conflict(f"You cannot {action} yourself. Ask another administrator.")
    if user.role == User.Role.ADMIN and not (
        User.objects.filter(role=User.Role.ADMIN, is_active=True).exclude(pk=user.pk).exists()
    ):
        raise Conflict(f"You cannot {action} the last administrator.")
