import os
import sys
from pathlib import Path

import pytest

from support_portal.devservices.processes import Child, Process, explain, rotate_log
from tests.devservices.waiting import is_alive, wait_until


def python(code: str) -> Child:
    return Child(name="child", command=[sys.executable, "-S", "-uc", code])


def test_the_log_is_private_appended_to_and_kept_once(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "child.log"
    process = Process(python("print('hello')"), log)
    for _ in range(2):
        process.start()
        assert process.wait(timeout_s=10)
    assert log.read_text() == "hello\nhello\n"
    assert log.stat().st_mode & 0o777 == 0o600
    rotate_log(log)
    assert not log.exists()
    assert (tmp_path / "logs" / "child.log.1").read_text() == "hello\nhello\n"


def test_the_last_lines_are_what_a_failure_shows(tmp_path: Path) -> None:
    process = Process(python("print(*range(40), sep='\\n'); raise SystemExit(3)"), tmp_path / "log")
    process.start()
    assert process.wait(timeout_s=10)
    assert process.exit_code == 3
    assert process.last_lines(count=2) == "    38\n    39"


def test_kill_takes_the_whole_group(tmp_path: Path) -> None:
    sleep = "import time; time.sleep(60)"
    code = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', '{sleep}']).pid); {sleep}"
    process = Process(python(code), tmp_path / "log")
    process.start()
    wait_until(lambda: process.last_lines().strip().isdigit())
    grandchild = int(process.last_lines())
    process.kill()
    assert process.wait(timeout_s=5)
    wait_until(lambda: not is_alive(grandchild))


def test_a_child_has_a_group_of_its_own() -> None:
    process = Process(python("import time; time.sleep(60)"))
    process.start()
    assert process.pid is not None
    assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
    process.kill()
    assert process.wait(timeout_s=5)


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        ("could not write: No space left on device", "The disk is full. Free some space"),
        ("could not open: Permission denied", "Choose a folder that you own"),
        ("strange", "Its last lines:\nstrange"),
    ],
)
def test_the_usual_reasons_come_with_advice(log: str, sentence: str) -> None:
    assert sentence in explain(log)
    assert log in explain(log)
