import socket

import pytest

from support_portal.devservices import preflight
from support_portal.devservices.processes import StartError


@pytest.mark.parametrize("text", ["", "abc", "0", "65536", "-1", "80.5"])
def test_a_port_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(StartError, match="is not a port"):
        preflight.parse_port(text)


def test_a_taken_port_is_refused_with_a_free_one_to_use() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(StartError, match=rf"Port {port} is taken.*make demo PORT=\d+"):
            preflight.require_free_port(port)
    preflight.require_free_port(port)


def test_little_memory_stops_the_default_model_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "available_memory_bytes", lambda: 1_000_000_000)
    with pytest.raises(StartError, match=r"Only 1\.0 GB of memory are available"):
        preflight.require_memory({})
    preflight.require_memory({"ENGINE": "scripted"})
    preflight.require_memory({"MODEL": "/models/small"})
