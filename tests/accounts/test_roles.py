"""The one table of rights, said once more by hand, so that nobody changes who may do what by accident."""

from __future__ import annotations

import pytest

from support_portal.accounts.models import User
from support_portal.accounts.roles import RIGHTS, may

EVERYBODY = {"agent", "lead", "editor", "admin"}
WHO_MAY = {
    "read_conversations": EVERYBODY,
    "take_conversations": EVERYBODY,
    "read_faqs": EVERYBODY,
    "edit_faqs": {"editor", "admin"},
    "check_answers": {"lead", "editor", "admin"},
    "review_answers": {"lead", "editor", "admin"},
    "read_insights": {"lead", "admin"},
    "lead_teams": {"lead", "admin"},
    "manage_teams": {"admin"},
    "manage_users": {"admin"},
    "manage_releases": {"admin"},
    "read_audit": {"admin"},
}


def test_every_role_has_exactly_these_rights() -> None:
    assert set(RIGHTS) == set(User.Role.values) == EVERYBODY
    assert {right: {role for role in RIGHTS if right in RIGHTS[role]} for right in set().union(*RIGHTS.values())} == WHO_MAY


@pytest.mark.django_db
def test_a_deactivated_person_and_an_unknown_right_are_refused(omar: User) -> None:
    assert may(omar, "read_audit") and not may(omar, "fly")
    omar.is_active = False
    assert not may(omar, "read_conversations")
