from __future__ import annotations

from typing import Any

import pytest

from support_portal.checks import reply_times


def test_shipped_times_hold() -> None:
    assert reply_times(None) == []


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("REPLY_HEARTBEAT_S", 2, "answerdesk.E001"),
        ("REPLY_SWEEP_S", 6, "answerdesk.E002"),
        ("REPLY_LEASE_S", 9, "answerdesk.E002"),
        ("REPLY_DEADLINE_S", 1200, "answerdesk.E003"),
        ("REPLY_MAX_ATTEMPTS", 40, "answerdesk.E003"),
        ("BROKER_VISIBILITY_S", 300, "answerdesk.E003"),
    ],
)
def test_each_broken_inequality_is_named(settings: Any, name: str, value: int, code: str) -> None:
    setattr(settings, name, value)
    assert code in [error.id for error in reply_times(None)]
