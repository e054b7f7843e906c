"""docker-compose.yml, as far as it can be judged without a Docker engine."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml
from django.test import Client

from tests.architecture.source import ROOT

TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
LONG_RUNNING = set(SERVICES) - {"migrate"}


def test_every_service_of_the_house_is_there() -> None:
    assert set(SERVICES) == {"postgres", "valkey", "migrate", "web", "generation", "general", "training", "beat"}


@pytest.mark.parametrize("name", sorted(LONG_RUNNING))
def test_long_running_service_has_a_health_check_and_comes_back(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"] and SERVICES[name]["restart"] == "always"


def test_no_secret_has_a_default() -> None:
    """A secret is demanded, or (of what one need not use) empty."""
    secrets = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET|TOKEN)\w*)(:?.)([^}]*)\}", TEXT)
    assert secrets and all(mark == ":?" or (mark, default) == (":-", "") for _, mark, default in secrets)


def test_volumes_are_named_and_declared() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_generation_worker_reserves_a_gpu() -> None:
    [device] = SERVICES["generation"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_variables_are_those_the_settings_read() -> None:
    files = ("support_portal/settings.py", "support_portal/accounts/oidc_settings.py")
    read = {name for file in files for name in re.findall(r'env_\w+\(\s*"([A-Z_]+)"', (ROOT / file).read_text())}
    given = {name for service in SERVICES.values() for name in service.get("environment", {})}
    assert {name for name in given if not name.startswith(("POSTGRES_", "VALKEY_"))} <= read


def test_what_the_example_offers_reaches_the_containers() -> None:
    offered = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))
    used = set(re.findall(r"\$\{([A-Z_]+)", TEXT))
    # Compose says itself where things are; the others are for the demo and for tests.
    outside = {"DATABASE_URL", "REDIS_URL", "DATA_DIR", "MODELS_DIR", "DEBUG", "DEMO_HISTORY", "ENGINE_SCRIPT"}
    assert offered - used == outside


def test_web_server_knows_its_options() -> None:
    options = {part.split("=")[0] for part in SERVICES["web"]["command"] if part.startswith("--")}
    known = subprocess.run([sys.executable, "-m", "uvicorn", "--help"], capture_output=True, text=True, check=True).stdout
    assert {option for option in options if option not in known} == set()


@pytest.mark.django_db
def test_health_check_asks_under_a_name_that_is_answered(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["chat.example.com"]
    assert "ALLOWED_HOSTS" in SERVICES["web"]["healthcheck"]["test"][-1]
    assert Client().get("/healthz", headers={"host": "chat.example.com"}).status_code == 200
    assert Client().get("/healthz", headers={"host": "127.0.0.1:8000"}).status_code == 400
