"""Who must have a second factor, by role (TOTP_REQUIRED_ROLES). allauth keeps and checks the factors themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa.models import Authenticator
from django.conf import settings

from support_portal.accounts.models import User


def lacks_second_factor(user: User, session: Mapping[str, Any]) -> bool:
    """Whether this person must set up an authenticator before anything opens. Asks the database for roles in question only."""
    return _must_have_one(user, session) and not having_second_factor([user.pk])


def all_lacking(people: Collection[tuple[User, Mapping[str, Any]]]) -> set[int]:
    """The ids of those who must set one up, in one query."""
    bound = [user.pk for user, session in people if _must_have_one(user, session)]
    return set(bound) - having_second_factor(bound) if bound else set()


def having_second_factor(user_ids: Collection[int]) -> set[int]:
    found = Authenticator.objects.filter(user_id__in=user_ids, type=Authenticator.Type.TOTP)
    return set(found.values_list("user_id", flat=True))


def _must_have_one(user: User, session: Mapping[str, Any]) -> bool:
    return user.role in settings.TOTP_REQUIRED_ROLES and not _came_by_single_sign_on(session)


def _came_by_single_sign_on(session: Mapping[str, Any]) -> bool:
    """Whether the company's own sign-in let this session in; a second factor is then that one's business."""
    records = session.get(AUTHENTICATION_METHODS_SESSION_KEY) or []
    return any(record.get("method") == "socialaccount" for record in records)
