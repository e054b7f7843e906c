"""Read the OIDC_* variables. Knows no models: settings.py imports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from support_portal.env import env_list, env_secret, env_str, env_url

# Part of the redirect address that the company registers; identities are kept under the issuer (see single_sign_on.py).
PROVIDER_ID = "company"


@dataclass(frozen=True)
class Oidc:
    issuer: str
    client_id: str
    client_secret: str
    name: str
    role_claim: str
    # What the claim says -> the role here. Empty: roles are given here, newcomers are agents.
    roles: dict[str, str]

    @property
    def origin(self) -> str:
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    def as_app(self) -> dict[str, Any]:
        """allauth's description of the one application."""
        return {
            "provider_id": PROVIDER_ID,
            "name": self.name,
            "client_id": self.client_id,
            "secret": self.client_secret,
            "settings": {"server_url": self.issuer},
        }


def load_oidc(known_roles: tuple[str, ...]) -> Oidc | None:
    issuer = env_url("OIDC_ISSUER").rstrip("/")
    client_id, secret = env_str("OIDC_CLIENT_ID"), env_secret("OIDC_CLIENT_SECRET")
    if not (issuer or client_id or secret):
        return None
    if not (issuer and client_id and secret):
        raise ImproperlyConfigured("OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET go together; set all three or none.")
    pairs = [entry.rpartition("=") for entry in env_list("OIDC_ROLES")]
    wrong = [f"{value}={role}" for value, _, role in pairs if not value or role not in known_roles]
    if wrong:
        roles = ", ".join(known_roles)
        raise ImproperlyConfigured(f"OIDC_ROLES must read VALUE=ROLE,... with a role of {roles}; not {', '.join(wrong)}.")
    return Oidc(
        issuer=issuer,
        client_id=client_id,
        client_secret=secret,
        name=env_str("OIDC_NAME", "single sign-on"),
        role_claim=env_str("OIDC_ROLE_CLAIM", "groups"),
        roles={value.strip(): role for value, _, role in pairs},
    )
