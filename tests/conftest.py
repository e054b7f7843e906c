"""The fixed cast and what every test may lean on: real PostgreSQL, real Valkey, no internet."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from chatbot import runtime
from chatbot.conversations.models import Customer
from support_portal.accounts.models import User
from support_portal.chat.visitors import COOKIE, _signer
from tests.stack import Stack, running_stack, write_script


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Tests that commit empty all tables afterwards; the audit log would refuse."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE staffing_auditentry DISABLE TRIGGER audit_no_truncate")


@pytest.fixture(autouse=True)
def empty_valkey() -> Iterator[None]:
    """No stream, throttle or worker of an earlier test."""
    runtime.valkey().flushdb()
    yield


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    """Real hashing is slow on purpose; one test of sign-in would not notice, a hundred do."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole product in processes of its own, with a database of its own; started once, when the first test asks for it."""
    folder = tmp_path_factory.mktemp("stack")
    with running_stack(folder / "data", script=write_script(folder / "script.jsonl")) as running:
        yield running


@pytest.fixture
def alice(db: None) -> Customer:
    return Customer.objects.create()


@pytest.fixture
def amir(db: None) -> Customer:
    return Customer.objects.create(locale="zh-hans")


@pytest.fixture
def mallory() -> uuid.UUID:
    """A stranger's visitor id: signed by us, owner of nothing."""
    return uuid.uuid4()


def _user(username: str, role: str) -> User:
    return User.objects.create_user(username=username, password="correct horse battery", role=role, first_name=username.title())


@pytest.fixture
def dana(db: None) -> User:
    return _user("dana", User.Role.AGENT)


@pytest.fixture
def lena(db: None) -> User:
    return _user("lena", User.Role.LEAD)


@pytest.fixture
def erin(db: None) -> User:
    return _user("erin", User.Role.EDITOR)


@pytest.fixture
def omar(db: None) -> User:
    return _user("omar", User.Role.ADMIN)


def visitor_cookie(customer_id: uuid.UUID) -> str:
    """The signed cookie of a customer, as the chat page sets it."""
    return _signer.sign(str(customer_id))


def browser_of(customer_id: uuid.UUID) -> Client:
    client = Client()
    client.cookies[COOKIE] = visitor_cookie(customer_id)
    return client
