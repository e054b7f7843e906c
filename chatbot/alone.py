"""Work that one process at a time does, of all that share the database.

PostgreSQL's advisory locks are of a connection: a process that is killed gives them back at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from django.db import connection


class Duty(IntEnum):
    """The number of each lock; no two may be the same."""

    COUNTING_FACTS = 0x1A51_6475
    CALIBRATING = 0x1A51_6476


@contextmanager
def alone(duty: Duty) -> Iterator[bool]:
    """Whether nobody else is at this; if so nobody will be until the block ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [int(duty)])
        (mine,) = cursor.fetchone()
    try:
        yield mine
    finally:
        if mine:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [int(duty)])
