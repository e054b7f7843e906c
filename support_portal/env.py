"""Read the environment. A wrong value stops start-up with a sentence that names the variable and what it may be."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def env_str(name: str, default: str = "") -> str:
    return os.environ.get(name, "") or default


def env_bool(name: str, default: bool) -> bool:
    value = env_str(name, "1" if default else "0").lower()
    if value not in {"0", "1", "true", "false", "yes", "no"}:
        raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}.")
    return value in {"1", "true", "yes"}


def env_int(name: str, default: int, *, low: int, high: int) -> int:
    value = env_str(name, str(default))
    if not value.lstrip("-").isdigit() or not low <= int(value) <= high:
        raise ImproperlyConfigured(f"{name} must be a whole number from {low} to {high}, not {value!r}.")
    return int(value)


def env_share(name: str, default: float, *, low: float, high: float) -> float:
    text = env_str(name, str(default))
    if not re.fullmatch(r"\d*\.?\d+", text) or not low <= float(text) <= high:
        raise ImproperlyConfigured(f"{name} must be a number from {low} to {high}, not {text!r}.")
    return float(text)


def env_choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = env_str(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
    return value


def env_list(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in env_str(name, default).split(",") if part.strip()]


def env_secret(name: str) -> str:
    """The value of NAME, or the first line of the file that NAME_FILE points to (Docker and Kubernetes secrets)."""
    path = env_str(f"{name}_FILE")
    if not path:
        return env_str(name)
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE points to {path}, which cannot be read: {error.strerror}.") from error


def env_url(name: str) -> str:
    """The address of an HTTP server, or "". Its key has a variable of its own: an address is printed and logged."""
    value = env_str(name)
    wrong = f"{name} must read http://HOST:PORT or https://HOST/PATH, without a user, a password or a query."
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(wrong) from error
    complete = parts.scheme in ("http", "https") and parts.hostname and port != 0 and not re.search(r"[\s@?#]", value)
    if value and not complete:
        raise ImproperlyConfigured(wrong)
    return value


def database_from_url(url: str) -> dict[str, object]:
    """Django's connection settings of postgresql://user:password@host:port/name?host=/socket/folder.

    A `host` in the query (a socket folder) wins, as in libpq. Raises ImproperlyConfigured for any other scheme.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        raise ImproperlyConfigured("DATABASE_URL must read postgresql://USER:PASSWORD@HOST:PORT/NAME.")
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": query.pop("user", unquote(parts.username or "")),
        "PASSWORD": query.pop("password", unquote(parts.password or "")),
        "HOST": query.pop("host", parts.hostname or ""),
        "PORT": query.pop("port", str(parts.port or "")),
        "CONN_MAX_AGE": 0,
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 16, "timeout": 10}, **query},
    }
