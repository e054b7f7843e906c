"""How much memory there is, from files like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatbot.engine.machine import available_memory_bytes, container_memory_bytes, machine_memory_bytes, require_memory
from chatbot.engine.manifest import ModelRefused


def write_group(folder: Path, *, limit: str) -> Path:
    (folder / "memory.max").write_text(limit)
    (folder / "memory.current").write_text("700\n")
    (folder / "memory.stat").write_text("anon 500\ninactive_file 150\n")
    return folder


def test_the_machine_s_available_memory_is_read(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    2 kB\n")
    assert machine_memory_bytes(tmp_path / "meminfo") == 2048
    assert machine_memory_bytes(tmp_path / "absent") is None


def test_a_container_s_limit_counts_less_what_is_used(tmp_path: Path) -> None:
    assert container_memory_bytes(write_group(tmp_path, limit="1000\n")) == 450
    assert container_memory_bytes(write_group(tmp_path, limit="max\n")) is None
    assert container_memory_bytes(tmp_path / "absent") is None


def test_an_unknown_amount_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatbot.engine.machine.machine_memory_bytes", lambda: None)
    monkeypatch.setattr("chatbot.engine.machine.container_memory_bytes", lambda: None)
    assert available_memory_bytes() is None
    require_memory(1 << 60, purpose="anything")
    monkeypatch.setattr("chatbot.engine.machine.container_memory_bytes", lambda: 5_000_000_000)
    with pytest.raises(ModelRefused, match=r"anything needs 9\.0 GB of memory, 5\.0 GB are available"):
        require_memory(9_000_000_000, purpose="anything")
