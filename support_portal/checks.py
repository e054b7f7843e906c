"""Start-up checks. The first proves that no reply can outlive its lease, its broker message or the customer's patience."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register


@register(Tags.async_support)
def reply_times(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Prove heartbeat < lease, lease + sweep < recovery, and attempts x (deadline + lease + sweep) < visibility.

    A worker that lives renews its lease at least twice before it ends, so a lease ends only when its worker is gone. A reply
    whose worker is gone is found within lease + sweep. And all attempts of a reply are over before the broker would hand its
    message out again by itself, so the sweeper is the only one that revives work.
    """
    s = settings
    rules = [
        ("answerdesk.E001", 3 * s.REPLY_HEARTBEAT_S <= s.REPLY_LEASE_S, "REPLY_LEASE_S must be at least three heartbeats long"),
        (
            "answerdesk.E002",
            s.REPLY_LEASE_S + s.REPLY_SWEEP_S < s.REPLY_RECOVERY_S,
            "lease + sweep must be shorter than REPLY_RECOVERY_S",
        ),
        (
            "answerdesk.E003",
            s.REPLY_MAX_ATTEMPTS * (s.REPLY_DEADLINE_S + s.REPLY_LEASE_S + s.REPLY_SWEEP_S) < s.BROKER_VISIBILITY_S,
            "all attempts of a reply must end within BROKER_VISIBILITY_S; lower REPLY_DEADLINE_S",
        ),
    ]
    return [Error(f"{text}.", id=code) for code, holds, text in rules if not holds]


@register(Tags.security, deploy=True)
def production_safety(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn about what is fine on a desk and wrong on the internet."""
    found: list[CheckMessage] = []
    if settings.ENGINE == "scripted":
        found.append(Error("ENGINE=scripted answers from a script; it is for tests only.", id="answerdesk.E004"))
    if settings.MODEL_API_KEY and settings.MODEL_URL.startswith("http://"):
        text = "MODEL_API_KEY and what customers write travel to MODEL_URL in the clear; use https outside your own network."
        found.append(Warning(text, id="answerdesk.W002"))
    if settings.OIDC and not settings.OIDC.issuer.startswith("https://"):
        text = "OIDC_ISSUER is not https: whoever stands between could say who signs in."
        found.append(Error(text, id="answerdesk.E005"))
    if "*" in settings.ALLOWED_HOSTS:
        found.append(Warning("ALLOWED_HOSTS=* lets any host name in; name yours.", id="answerdesk.W001"))
    return found
