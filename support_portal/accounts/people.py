"""What administrators do with the people who work here. Views call these; nothing else changes a user's rights."""

from __future__ import annotations

import functools
import secrets
from dataclasses import dataclass

from allauth.mfa.models import Authenticator
from django.db import IntegrityError, transaction

from chatbot.conversations import takeover
from chatbot.errors import Conflict, InvalidInput, NotFound
from chatbot.staffing import audit
from support_portal.accounts.models import User
from support_portal.accounts.roles import RIGHTS
from support_portal.accounts.sessions import announce_change, end_sessions


@dataclass(frozen=True)
class NewPassword:
    """A password that is shown to the administrator once; the database keeps only its hash."""

    user: User
    password: str


def add_person(username: str, *, name: str, email: str, role: str, added_by: User) -> NewPassword:
    """Raises Conflict when somebody has the name already, in whatever case it is written."""
    if User.objects.filter(username__iexact=username).exists():
        raise Conflict(f"Somebody already signs in as “{username}”.", field="username")
    user = User(username=username, first_name=name, email=email, role=role)
    try:
        with transaction.atomic():
            new = _with_new_password(user)
            audit.record(added_by.pk, "person.added", _name(user), {"role": role})
            return new
    except IntegrityError as error:
        raise Conflict(f"Somebody already signs in as “{username}”.", field="username") from error


@transaction.atomic
def change_person(user_id: int, *, name: str, email: str, role: str, changed_by: User) -> User:
    """A role with fewer rights ends the person's sessions; one with more holds at once."""
    user = _locked(user_id)
    if role not in User.Role.values:
        raise InvalidInput("Choose one of the roles.", field="role")
    if role != user.role and user.role == User.Role.ADMIN:
        _require_another_admin(user, changed_by=changed_by, action="take the administrator role from")
    changed = [field for field, new in (("first_name", name), ("email", email)) if getattr(user, field) != new]
    user.first_name, user.email = name, email
    user.save(update_fields=["first_name", "email"])
    if changed:
        audit.record(changed_by.pk, "person.changed", _name(user), {"fields": changed})
    _change_role(user, role, actor_id=changed_by.pk)
    return user


@transaction.atomic
def give_role(user_id: int, *, role: str) -> User:
    """Follow what the company's own sign-in says this person is."""
    user = _locked(user_id)
    _change_role(user, role, actor_id=None)
    return user


@transaction.atomic
def deactivate_person(user_id: int, *, changed_by: User) -> User:
    """End the person's access at once, open sockets included. Without a password no session of theirs can come back."""
    user = _locked(user_id)
    _require_another_admin(user, changed_by=changed_by, action="deactivate")
    user.is_active = False
    user.set_unusable_password()
    user.save(update_fields=["is_active", "password"])
    end_sessions(user)
    _give_up_conversations(user, reason="account_closed")
    audit.record(changed_by.pk, "person.deactivated", _name(user))
    return user


@transaction.atomic
def reactivate_person(user_id: int, *, changed_by: User | None) -> NewPassword:
    user = _locked(user_id)
    user.is_active = True
    audit.record(changed_by.pk if changed_by else None, "person.reactivated", _name(user))
    return _with_new_password(user)


@transaction.atomic
def reset_password(user_id: int, *, changed_by: User) -> NewPassword:
    """Give the person a new one-time password; the sessions opened with the old one end."""
    user = _locked(user_id)
    if not user.is_active:
        raise Conflict("This account is deactivated. Reactivate it first.")
    audit.record(changed_by.pk, "person.password_given", _name(user))
    announce_change(user.pk)
    return _with_new_password(user)


@transaction.atomic
def remove_second_factor(user_id: int, *, changed_by: User | None) -> User:
    """For a person who has lost phone and recovery codes. Their sessions end; where their role needs one, they set it up anew."""
    user = _locked(user_id)
    Authenticator.objects.filter(user_id=user.pk).delete()
    end_sessions(user)
    audit.record(changed_by.pk if changed_by else None, "person.second_factor_removed", _name(user))
    return user


def _change_role(user: User, role: str, *, actor_id: int | None) -> None:
    if role == user.role:
        return
    former, user.role = user.role, role
    user.save(update_fields=["role"])
    lost = RIGHTS[former] - RIGHTS[role]
    if lost:
        end_sessions(user)
    if "take_conversations" in lost:
        _give_up_conversations(user, reason="role_lost")
    audit.record(actor_id, "person.role_changed", _name(user), {"from": former, "to": role})


def _give_up_conversations(user: User, *, reason: str) -> None:
    """After the commit: it locks conversations, whose own changes hold them while they look at the people we have locked."""
    transaction.on_commit(functools.partial(takeover.release_all_of, user.pk, reason=reason))


def _with_new_password(user: User) -> NewPassword:
    password = secrets.token_urlsafe(12)
    user.set_password(password)
    user.must_change_password = True
    user.save()
    return NewPassword(user=user, password=password)


def _name(user: User) -> str:
    return f"user {user.pk}"


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
