"""Look before starting: everything that would fail minutes later is said at once, with what to do."""

import socket
from collections.abc import Mapping
from pathlib import Path

from chatbot.engine.machine import available_memory_bytes
from support_portal.devservices.folder import require_free_space
from support_portal.devservices.processes import StartError
from support_portal.devservices.valkey import free_port

SERVICES_DISK_BYTES = 500_000_000
MODEL_MEMORY_BYTES = 4_000_000_000


def parse_port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise StartError(f"PORT={text!r} is not a port. Take a number from 1024 to 65535: make demo PORT=8001")
    return int(text)


def require_free_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError as error:
            raise StartError(f"Port {port} is for root only. Choose a higher one: make demo PORT=8000") from error
        except OSError as error:
            raise StartError(
                f"Port {port} is taken by another program. Choose another one: make demo PORT={free_port()}"
            ) from error


def require_room(data_dir: Path) -> None:
    """Check the disk for what the services write. `fetchmodel` checks for the model, whose size it knows."""
    require_free_space(data_dir, needed_bytes=SERVICES_DISK_BYTES, purpose="the demo's database")


def require_memory(environment: Mapping[str, str]) -> None:
    """Check the memory for the default model only: whoever names another engine or model knows its size."""
    available = available_memory_bytes()
    if not uses_default_model(environment) or available is None or available >= MODEL_MEMORY_BYTES:
        return
    raise StartError(
        f"Only {available / 1e9:.1f} GB of memory are available and the default model needs {MODEL_MEMORY_BYTES / 1e9:.0f} GB. "
        "Close other programs, or name a smaller model: make demo MODEL=some/folder (docs/operations.md, Models)"
    )


def uses_default_model(environment: Mapping[str, str]) -> bool:
    return (environment.get("ENGINE") or "torch") == "torch" and (environment.get("MODEL") or "default") == "default"
