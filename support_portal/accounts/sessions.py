"""End sessions everywhere at once, and tell open sockets of it.

A session is good while its hash fits the person's password and session version (models.User), so raising the version voids all
of them in one write. Open sockets have passed that check already: `announce_change` tells them to ask `still_allowed` again.
"""

from __future__ import annotations

import functools
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from redis import RedisError

from chatbot import runtime
from chatbot.telemetry import log_event
from support_portal.accounts.models import User
from support_portal.accounts.roles import may
from support_portal.accounts.second_factor import all_lacking

CHANNEL = "accounts:changed"


@dataclass(frozen=True)
class Pass:
    """What somebody came in with, and the right that what they do now takes."""

    user_id: int
    session_key: str
    right: str


def end_sessions(user: User) -> None:
    """Void every session of this person, the present one too, and close their sockets when the transaction commits."""
    User.objects.filter(pk=user.pk).update(session_version=F("session_version") + 1)
    user.refresh_from_db(fields=["session_version"])
    announce_change(user.pk)


def announce_change(user_id: int) -> None:
    """After the commit, let every socket of this person ask again what it may. Sockets also ask by themselves now and then."""
    transaction.on_commit(functools.partial(_publish, user_id))


def still_allowed(user_id: int, session_key: str, right: str) -> bool:
    """Whether this session still lets this person do this. Reads the database: call it off the event loop."""
    return all_allowed([Pass(user_id, session_key, right)])[0]


def all_allowed(passes: Sequence[Pass]) -> list[bool]:
    """The same for many at once, in two queries (three where TOTP_REQUIRED_ROLES names a role)."""
    users = User.objects.in_bulk({entry.user_id for entry in passes})
    keys = {entry.session_key for entry in passes}
    rows = Session.objects.filter(pk__in=keys, expire_date__gt=timezone.now())
    sessions = {row.session_key: row.get_decoded() for row in rows}
    inside = [(users[entry.user_id], sessions[entry.session_key]) for entry in passes if _inside(entry, users, sessions)]
    lacking = all_lacking(inside)
    return [
        _inside(entry, users, sessions) and entry.user_id not in lacking and may(users[entry.user_id], entry.right)
        for entry in passes
    ]


def _inside(entry: Pass, users: dict[int, User], sessions: dict[str, dict[str, object]]) -> bool:
    """Whether the session is this person's and still good, as Django's own check reads it."""
    user, session = users.get(entry.user_id), sessions.get(entry.session_key)
    if user is None or session is None or not user.is_active or user.must_change_password:
        return False
    known = str(session.get(HASH_SESSION_KEY, ""))
    return session.get(SESSION_KEY) == str(user.pk) and any(
        hmac.compare_digest(known, good) for good in (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    )


def _publish(user_id: int) -> None:
    try:
        runtime.valkey().publish(CHANNEL, json.dumps({"user_id": user_id}))
    except RedisError as error:  # Sockets ask by themselves every few seconds.
        log_event("account.change_unheard", user=user_id, error=type(error).__name__)
