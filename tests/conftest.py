"""The fixed cast and what every test may lean on: real PostgreSQL, real Valkey, no internet."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.test import Client, TransactionTestCase
from xdist.scheduler import LoadScopeScheduling

from chatbot import runtime
from chatbot.conversations.models import Customer
from support_portal.accounts.models import User
from support_portal.chat.visitors import COOKIE, _signer
from tests.stack import Stack, running_stack, write_script

# These start whole products, servers and a browser, and mostly wait for them.
ROOMS_THAT_WAIT = {"browser", "devservices", "faults"}
# What migrations write and no test changes.
KEPT_TABLES = {"django_migrations", "django_content_type", "auth_permission"}
# No row of it may be deleted.
APPEND_ONLY_TABLE = "staffing_auditentry"


class Halves(LoadScopeScheduling):
    """Two pieces of work for the two workers of `make test`: what waits, and what computes; each in its own order."""

    def _split_scope(self, nodeid: str) -> str:
        return "waits" if nodeid.split("/")[1] in ROOMS_THAT_WAIT else "computes"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Halves:
    return Halves(config, log)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Tests that commit empty the tables afterwards; the audit log would refuse."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {APPEND_ONLY_TABLE} DISABLE TRIGGER audit_no_truncate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", _empty_tables)
        yield


def _empty_tables(case: TransactionTestCase) -> None:
    """Delete the rows of the few tables that have any. Django truncates all eighty, a quarter of a second a test."""
    tables = set(connection.introspection.table_names()) - KEPT_TABLES
    has_rows = " UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT FROM {table})" for table in sorted(tables))
    for tries_left in reversed(range(5)):
        try:
            with transaction.atomic(), connection.cursor() as cursor:  # foreign keys are looked at when it ends
                cursor.execute(has_rows)
                for (table,) in cursor.fetchall():
                    cursor.execute(f"TRUNCATE {table}" if table == APPEND_ONLY_TABLE else f"DELETE FROM {table}")
            return
        except (IntegrityError, OperationalError):  # a socket's thread has just written its last row, or waits for ours
            if not tries_left:
                raise


@pytest.fixture(autouse=True)
def empty_valkey() -> Iterator[None]:
    """No stream, throttle or worker of an earlier test."""
    runtime.valkey().flushdb()
    yield


@pytest.fixture(autouse=True)
def quick_site(settings: Any) -> None:
    """What one test would not notice, and a thousand do: real hashing is slow on purpose, and WhiteNoise lists every
    static file again for each test client, unless it looks for a file when it is asked for."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.WHITENOISE_AUTOREFRESH = True


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
