import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from support_portal.devservices.valkey import Valkey
from tests.devservices.waiting import wait_until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    valkey = Valkey(tmp_path / "valkey", log=tmp_path / "valkey.log")
    valkey.start()
    yield valkey
    valkey.stop()


def test_only_the_url_opens_it(server: Valkey) -> None:
    assert redis.Redis.from_url(server.url).ping()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(host="127.0.0.1", port=server.port, retry=Retry(NoBackoff(), 0)).ping()
    assert (server.folder / "valkey.conf").stat().st_mode & 0o777 == 0o600


def test_a_restart_after_kill_9_keeps_port_and_data(server: Valkey) -> None:
    redis.Redis.from_url(server.url).xadd("stream", {"piece": "kept"})
    pid = server.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not server.process.is_running)
    server.process.start()  # as the supervisor does: everyone still has the old URL

    def answers() -> bool:
        try:
            return bool(redis.Redis.from_url(server.url).ping())
        except redis.RedisError:
            return False

    wait_until(answers)
    assert redis.Redis.from_url(server.url).xlen("stream") == 1


def test_it_stores_nothing_when_told_to_forget(tmp_path: Path) -> None:
    valkey = Valkey(tmp_path / "valkey", log=tmp_path / "valkey.log", durable=False)
    redis.Redis.from_url(valkey.start()).set("key", "value")
    valkey.stop()
    assert [path.name for path in valkey.folder.iterdir()] == ["valkey.conf"]
