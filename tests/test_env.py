"""The environment: wrong values stop start-up with a sentence, and .env.example knows every variable."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from support_portal import env
from tests.architecture.source import ROOT


def test_example_names_every_variable_that_settings_read() -> None:
    files = ("support_portal/settings.py", "support_portal/accounts/oidc_settings.py")
    read = {name for file in files for name in re.findall(r'env_\w+\(\s*"([A-Z_]+)"', (ROOT / file).read_text())}
    named = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))
    assert read - named == set()


def test_example_names_every_secret_that_compose_demands() -> None:
    demanded = set(re.findall(r"\$\{([A-Z_]+):\?", (ROOT / "docker-compose.yml").read_text()))
    named = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))
    assert demanded and demanded - named == set()


@pytest.mark.parametrize(
    ("name", "value", "read", "sentence"),
    [
        ("X", "maybe", lambda: env.env_bool("X", False), "X must be 1 or 0, not 'maybe'"),
        ("X", "many", lambda: env.env_int("X", 1, low=1, high=9), "X must be a whole number from 1 to 9, not 'many'"),
        ("X", "10", lambda: env.env_int("X", 1, low=1, high=9), "X must be a whole number from 1 to 9"),
        ("X", "tpu", lambda: env.env_choice("X", "cpu", ("cpu", "cuda")), "X must be one of cpu, cuda, not 'tpu'"),
        ("X_FILE", "/nowhere", lambda: env.env_secret("X"), "X_FILE points to /nowhere, which cannot be read"),
    ],
)
def test_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, read: object, sentence: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured, match=re.escape(sentence)):
        read()  # type: ignore[operator]


def test_secret_is_read_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    monkeypatch.setenv("X_FILE", str(tmp_path / "key"))
    assert env.env_secret("X") == "s3cret"


@pytest.mark.parametrize("url", ["", "http://10.0.0.7:8000", "https://llm.example.com/v1", "http://[::1]:8000/a/b"])
def test_model_server_address(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("X", url)
    assert env.env_url("X") == url


@pytest.mark.parametrize(
    "url",
    [
        "10.0.0.7:8000",
        "ftp://host/",
        "http://",
        "http://host:x/",
        "http://host:0/",
        "http://me:pw@host/",
        "http://h/?k=1",
        "http://a b/",
    ],
)
def test_other_addresses_are_refused_without_repeating_them(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("X", url)
    with pytest.raises(ImproperlyConfigured, match="X must read http") as refused:
        env.env_url("X")
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"ENGINE": "remote"}, "ENGINE=remote and MODEL_URL go together"),
        ({"ENGINE": "torch", "MODEL_URL": "http://10.0.0.7:8000"}, "ENGINE=remote and MODEL_URL go together"),
        ({"ENGINE": "remote", "MODEL_URL": "llm:8000"}, "MODEL_URL must read"),
        ({"TOTP_REQUIRED_ROLES": "admin,boss"}, "TOTP_REQUIRED_ROLES names boss; the roles are agent, lead"),
        ({"MAIL_HOST": "mail.example.com"}, "MAIL_FROM must name the sender"),
        ({"OIDC_ISSUER": "https://id.example.com"}, "go together; set all three or none"),
        (
            {"OIDC_ISSUER": "https://i", "OIDC_CLIENT_ID": "a", "OIDC_CLIENT_SECRET": "b", "OIDC_ROLES": "it=boss"},
            "OIDC_ROLES must read VALUE=ROLE",
        ),
        ({"ENGINE": "remote", "MODEL_URL": "http://llm:8000", "MODEL_API_KEY": "schlüssel"}, "MODEL_API_KEY must be"),
    ],
)
def test_wrong_combination_stops_the_start(variables: dict[str, str], sentence: str) -> None:
    command = [sys.executable, "-c", "import support_portal.settings"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and sentence in done.stderr.splitlines()[-1]
    assert "schl" not in done.stderr.splitlines()[-1]


def test_database_url_with_socket_folder() -> None:
    found = env.database_from_url("postgresql:///app?host=/run/pg&user=postgres")
    assert (found["NAME"], found["HOST"], found["USER"]) == ("app", "/run/pg", "postgres")


def test_database_url_with_escaped_password() -> None:
    found = env.database_from_url("postgresql://me:p%40ss@db:5433/app?sslmode=require")
    assert (found["PASSWORD"], found["PORT"], found["OPTIONS"]["sslmode"]) == ("p@ss", "5433", "require")  # type: ignore[index]


@pytest.mark.parametrize("url", ["mysql://db/app", "postgresql://db/", "app"])
def test_other_database_urls_are_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL must read"):
        env.database_from_url(url)


def test_the_example_as_it_is_copied_is_meant_for_production() -> None:
    assert re.search(r"^HTTPS=1$", (ROOT / ".env.example").read_text(), re.M), "cookies of a copied file must be secure"
