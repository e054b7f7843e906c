"""The whole supervisor with real PostgreSQL and Valkey; the site's own processes are stand-ins."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chatbot.engine.known_models import DEFAULT_MODEL
from support_portal.devservices import demo
from support_portal.devservices.valkey import free_port
from tests.devservices.waiting import is_alive, wait_until

Spawn = Callable[..., subprocess.Popen[str]]
pytestmark = pytest.mark.usefixtures("no_given_urls")


def start(spawn: Spawn, *, folder: Path, port: int) -> subprocess.Popen[str]:
    return spawn("-m", "tests.devservices.standin", PORT=str(port), DATA_DIR=str(folder), ENGINE="scripted")


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def descendants(pid: int) -> list[int]:
    """Return all processes below this one, PostgreSQL's own children included."""
    children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [grandchild for child in children for grandchild in descendants(child)]


def test_two_demos_run_side_by_side_and_stop_in_time(spawn: Spawn, tmp_path: Path) -> None:
    ports = [free_port(), free_port()]
    demos = [start(spawn, folder=tmp_path / str(port), port=port) for port in ports]
    assert [next_line(process) for process in demos] == [f"ready: http://127.0.0.1:{port}" for port in ports]
    login = ["agent", "agent", "correct-horse", f"http://127.0.0.1:{ports[0]}/desk/"]
    assert next_line(demos[0]).split() == login
    everyone = [pid for process in demos for pid in descendants(process.pid)]
    assert len(everyone) >= 2 * 6

    asked_at = time.monotonic()
    demos[0].send_signal(signal.SIGTERM)
    demos[1].send_signal(signal.SIGINT)
    output, errors = demos[0].communicate(timeout=15)
    demos[1].communicate(timeout=15)
    assert time.monotonic() - asked_at < 10
    assert [process.returncode for process in demos] == [0, 130]
    assert not [pid for pid in everyone if is_alive(pid)]
    assert "ready:" not in output + errors, "one line says it"


def test_kill_9_of_the_supervisor_leaves_nothing_and_the_next_start_works(spawn: Spawn, tmp_path: Path) -> None:
    port = free_port()
    first = start(spawn, folder=tmp_path, port=port)
    assert next_line(first).startswith("ready:")
    everyone = descendants(first.pid)
    second_here = start(spawn, folder=tmp_path, port=free_port())
    assert "is in use (make demo, process" in second_here.communicate(timeout=20)[1]
    assert second_here.returncode == 1

    first.kill()
    wait_until(lambda: not any(map(is_alive, everyone)))
    again = start(spawn, folder=tmp_path, port=port)
    assert next_line(again) == f"ready: http://127.0.0.1:{port}"


def test_killed_servers_and_children_come_back_and_a_second_ctrl_c_kills_at_once(spawn: Spawn, tmp_path: Path) -> None:
    process = start(spawn, folder=tmp_path, port=free_port())
    assert next_line(process).startswith("ready:")
    before = [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    deaf = tmp_path / "logs" / "generation.log"  # the second one, too, ignores SIGTERM by now
    wait_until(lambda: len(descendants(process.pid)) >= 6 and deaf.read_text().count("deaf") == 2)
    assert not any(map(is_alive, before))

    everyone = descendants(process.pid)
    asked_at = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)  # two presses of a key, not one signal delivered once
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=15)
    assert time.monotonic() - asked_at < 2.5
    assert process.returncode == 130
    wait_until(lambda: not any(map(is_alive, everyone)))


def test_a_taken_port_ends_in_a_sentence(spawn: Spawn, tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        process = start(spawn, folder=tmp_path, port=port)
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"Port {port} is taken by another program. Choose another one: make demo PORT=" in errors
    assert "Traceback" not in errors


def test_the_site_listens_on_this_machine_only(tmp_path: Path) -> None:
    children = {child.name: list(child.command) for child in demo.site_children(8123, folder=tmp_path, environment={})}
    assert list(children) == ["generation", "general", "training", "beat", "web"]
    assert {"--host=127.0.0.1", "--port=8123"} <= set(children["web"])
    assert all(command[0] == sys.executable for command in children.values())


def test_the_model_is_fetched_only_when_it_is_the_default_and_missing(tmp_path: Path) -> None:
    assert not demo.default_model_is_there({}, folder=tmp_path)
    (tmp_path / "models" / DEFAULT_MODEL).mkdir(parents=True)
    (tmp_path / "models" / DEFAULT_MODEL / "manifest.json").write_text("{}")
    assert demo.default_model_is_there({}, folder=tmp_path)
    assert not demo.default_model_is_there({"MODELS_DIR": str(tmp_path / "elsewhere")}, folder=tmp_path)
    assert demo.uses_default_model({"MODEL": "default", "ENGINE": ""})
    assert not demo.uses_default_model({"MODEL": "/models/own"})
