"""Default deny: every staff address that exists is guarded, whoever adds it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from support_portal.accounts.models import User
from support_portal.accounts.roles import RIGHTS, may

pytestmark = pytest.mark.django_db
# What stands in the place of an address's parameters.
_VALUES = {
    "<uuid:conversation_id>": "00000000-0000-4000-8000-000000000000",
    "<int:faq_id>": "1",
    "<int:user_id>": "1",
    "<int:number>": "1",
    "<int:question_id>": "1",
    "<int:gap_id>": "1",
    "<int:document_id>": "1",
    "<int:passage_id>": "1",
    "<uuid:run_id>": "00000000-0000-4000-8000-000000000000",
    "<slug:token>": "1-abc",
}


def _addresses(patterns: list[URLPattern | URLResolver], prefix: str = "/") -> Iterator[str]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _addresses(pattern.url_patterns, path)
        else:
            for name, value in _VALUES.items():
                path = path.replace(name, value)
            yield path


STAFF = [
    path
    for path in _addresses(get_resolver().url_patterns)
    if path.startswith(("/desk/", "/faqs/", "/people/", "/accounts/password/"))
]


def test_the_staffs_addresses_are_found() -> None:
    assert len(STAFF) >= 18 and not any("<" in path for path in STAFF)


@pytest.mark.parametrize("path", STAFF)
def test_a_stranger_gets_nothing_but_the_sign_in(client: Client, path: str) -> None:
    for response in (client.get(path), client.post(path), client.put(path), client.delete(path)):
        assert (response.status_code, response["Location"].split("?")[0]) == (302, "/accounts/login/"), path


def test_every_role_has_its_rights_and_an_unknown_one_has_none(dana: User, erin: User, omar: User) -> None:
    assert set(RIGHTS) == set(User.Role.values)
    assert [may(user, "edit_faqs") for user in (dana, erin, omar)] == [False, True, True]
    assert [may(user, "check_answers") for user in (dana, erin, omar)] == [False, True, True]
    assert [may(user, "manage_users") for user in (dana, erin, omar)] == [False, False, True]
    assert not may(omar, "fly")
    omar.is_active = False
    assert not may(omar, "read_conversations")
