"""The embedded services of one data folder: locked, started, and known to whoever comes later."""

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from support_portal.devservices.folder import FolderLock, write_private
from support_portal.devservices.postgres import Postgres
from support_portal.devservices.processes import Process, StartError, nothing
from support_portal.devservices.valkey import Valkey

ATTACH_TIMEOUT_S = 60.0
SCRATCH_PREFIX = "answerdesk-scratch-"


@dataclass(frozen=True)
class ServiceUrls:
    database_url: str
    redis_url: str

    def as_environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}


class Services:
    """PostgreSQL and Valkey in sub-folders of DATA_DIR, each only where the owner has given no URL."""

    def __init__(self, data_dir: Path, *, given: Mapping[str, str], purpose: str, durable: bool = True) -> None:
        self.data_dir = data_dir
        self.lock = FolderLock(data_dir, purpose=purpose)
        self._given_database_url = given_secret(given, "DATABASE_URL")
        self._given_redis_url = given_secret(given, "REDIS_URL")
        logs = data_dir / "logs"
        self.postgres = (
            None if self._given_database_url else Postgres(data_dir / "postgres", log=logs / "postgres.log", durable=durable)
        )
        self.valkey = None if self._given_redis_url else Valkey(data_dir / "valkey", log=logs / "valkey.log", durable=durable)

    @property
    def processes(self) -> list[Process]:
        return [service.process for service in (self.postgres, self.valkey) if service is not None]

    def start(self, *, on_wait: Callable[[], None] = nothing) -> ServiceUrls:
        """Start what is not given. The lock must be ours."""
        urls = ServiceUrls(
            database_url=self.postgres.start(on_wait=on_wait) if self.postgres else self._given_database_url,
            redis_url=self.valkey.start(on_wait=on_wait) if self.valkey else self._given_redis_url,
        )
        write_private(self._urls_file, json.dumps(asdict(urls)))
        return urls

    def start_or_attach(self) -> ServiceUrls:
        """Start our own, or use those of the process that holds the folder."""
        if not self.processes:
            return ServiceUrls(self._given_database_url, self._given_redis_url)
        if self.lock.is_held or self.lock.take():
            return self.start()
        theirs = self._urls_of_holder()
        return ServiceUrls(self._given_database_url or theirs.database_url, self._given_redis_url or theirs.redis_url)

    def stop(self, *, grace_s: float = 3.0) -> None:
        """Stop both within about `grace_s` and let go of the folder."""
        for process in self.processes:  # both at once, so that one does not eat the other's time
            process.ask_to_stop()
        deadline = time.monotonic() + grace_s
        for service in (self.valkey, self.postgres):
            if service is not None:
                service.stop(grace_s=max(0.1, deadline - time.monotonic()))
        if self.lock.is_held:
            self._urls_file.unlink(missing_ok=True)
            self.lock.release()

    def _urls_of_holder(self) -> ServiceUrls:
        """Return the URLs that the folder's holder wrote down, waiting while it starts."""
        deadline = time.monotonic() + ATTACH_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                return ServiceUrls(**json.loads(self._urls_file.read_text()))
            except FileNotFoundError:
                time.sleep(0.2)
        raise StartError(f"{self.data_dir} is held by {self.lock.holder()}, which does not come up. Stop it and try again.")

    @property
    def _urls_file(self) -> Path:
        return self.data_dir / "services.json"


class ScratchServices(Services):
    """Services that forget everything, in a temporary folder of their own: for tests and benchmarks."""

    def __init__(self, *, given: Mapping[str, str]) -> None:
        remove_abandoned_scratch_folders()
        super().__init__(Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX)), given=given, purpose="scratch", durable=False)
        self.lock.take()

    def stop(self, *, grace_s: float = 3.0) -> None:
        super().stop(grace_s=grace_s)
        shutil.rmtree(self.data_dir, ignore_errors=True)


def given_secret(environment: Mapping[str, str], name: str) -> str:
    """Return NAME, or the content of the file that NAME_FILE points to, as the settings do; empty when neither is set."""
    path = environment.get(f"{name}_FILE")
    if not path:
        return environment.get(name, "")
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise StartError(f"{name}_FILE points to {path}, which cannot be read: {error.strerror}.") from error


def remove_abandoned_scratch_folders() -> None:
    """Remove the folders of killed runs. Their servers died with them; a live run still holds its lock."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # its own run, or another one that begins now, removes it
            _remove_abandoned(folder)


def _remove_abandoned(folder: Path) -> None:
    if folder.stat().st_uid != os.geteuid() or not (folder / "lock").exists():
        return
    lock = FolderLock(folder, purpose="cleaning")
    if lock.take():
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
