from __future__ import annotations

from typing import Any

import pytest

from support_portal.accounts.oidc_settings import Oidc
from support_portal.checks import production_safety, reply_times


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


@pytest.mark.parametrize(("issuer", "wrong"), [("https://id.example", False), ("http://id.example", True)])
def test_single_sign_on_takes_https(settings: Any, issuer: str, wrong: bool) -> None:
    settings.OIDC = Oidc(issuer, "id", "secret", "ID", "groups", {})
    assert ("answerdesk.E005" in [found.id for found in production_safety(None)]) is wrong


@pytest.mark.parametrize(
    ("url", "key", "warned"), [("http://llm:1", "k", True), ("https://llm:1", "k", False), ("http://llm:1", "", False)]
)
def test_key_in_the_clear_is_warned_of(settings: Any, url: str, key: str, warned: bool) -> None:
    settings.MODEL_URL, settings.MODEL_API_KEY = url, key
    assert ("answerdesk.W002" in [found.id for found in production_safety(None)]) is warned
