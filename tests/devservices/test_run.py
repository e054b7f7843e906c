import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support_portal.devservices.services import Services

Spawn = Callable[..., subprocess.Popen[str]]
RUN = ("-m", "support_portal.devservices.run")
SHOW = ("--", "python3", "-c", "import json, os; print(json.dumps(dict(os.environ)))")
pytestmark = pytest.mark.usefixtures("no_given_urls")


def finish(process: subprocess.Popen[str]) -> dict[str, str]:
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    environment: dict[str, str] = json.loads(output)
    return environment


def test_a_command_gets_the_running_demos_servers(spawn: Spawn, services: Services) -> None:
    environment = finish(spawn(*RUN, *SHOW, DATA_DIR=str(services.data_dir)))
    assert services.postgres is not None
    assert services.valkey is not None
    assert environment["DATABASE_URL"] == services.postgres.url
    assert environment["REDIS_URL"] == services.valkey.url
    assert services.postgres.process.is_running, "they are not ours to stop"


def test_a_given_url_always_wins(spawn: Spawn, services: Services) -> None:
    environment = finish(spawn(*RUN, *SHOW, DATA_DIR=str(services.data_dir), DATABASE_URL="postgresql://given/db"))
    assert environment["DATABASE_URL"] == "postgresql://given/db"
    assert services.valkey is not None
    assert environment["REDIS_URL"] == services.valkey.url


def test_without_a_demo_it_starts_its_own_and_passes_the_exit_code_on(spawn: Spawn, tmp_path: Path) -> None:
    code = "import os, psycopg; psycopg.connect(os.environ['DATABASE_URL']).close(); raise SystemExit(7)"
    process = spawn(*RUN, "--", sys.executable, "-c", code, DATA_DIR=str(tmp_path / "data"))
    assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 7
    assert not (tmp_path / "data" / "services.json").exists()
    assert not (tmp_path / "data" / "postgres" / "postmaster.pid").exists()


def test_the_secret_key_is_made_once(spawn: Spawn, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    first, second = (finish(spawn(*RUN, *SHOW, DATA_DIR=str(services.data_dir)))["SECRET_KEY"] for _ in range(2))
    assert first == second
    assert len(first) >= 50
    assert (services.data_dir / "secret-key").stat().st_mode & 0o777 == 0o600


def test_a_scratch_database_comes_before_any_data_folder(spawn: Spawn, tmp_path: Path) -> None:
    environment = finish(spawn(*RUN, "--scratch", *SHOW, DATA_DIR=str(tmp_path / "data"), SECRET_KEY=""))
    assert environment["SECRET_KEY"] == (tmp_path / "data" / "secret-key").read_text()


def test_a_missing_command_ends_in_a_sentence(spawn: Spawn, services: Services) -> None:
    process = spawn(*RUN, "--", "no-such-program", DATA_DIR=str(services.data_dir))
    assert process.communicate(timeout=30)[1] == "no-such-program cannot be started: No such file or directory.\n"
    assert process.returncode == 1
