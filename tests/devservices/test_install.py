import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from support_portal.devservices import install


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Record what would be installed; everything succeeds."""
    recorded: list[list[str]] = []

    def call(command: list[str], **options: object) -> int:
        recorded.append(command)
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    return recorded


def test_an_old_python_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "OLDEST_PYTHON", (99, 0))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer; .* is 3\.\d+\. .*make demo PYTHON="):
        install.main(str(tmp_path / "venv"))


def test_packages_are_installed_again_only_after_a_change(calls: list[list[str]], tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    venv.mkdir()
    (venv / "pyvenv.cfg").write_text("")
    install.main(str(venv))
    install.main(str(venv))
    pips = [command for command in calls if "-r" in command]
    assert len(pips) == 1
    assert pips[0][-1].endswith("requirements.txt")
    requirements = Path(install.PROJECT, "requirements.txt").read_bytes()
    assert (venv / ".installed-requirements").read_text() == hashlib.sha256(requirements).hexdigest()

    (venv / ".installed-requirements").write_text("of an older file")
    install.main(str(venv))
    assert len([command for command in calls if "-r" in command]) == 2


def test_a_failed_installation_is_not_taken_for_a_finished_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(subprocess, "call", lambda command, **options: int("-r" in command))
    with pytest.raises(SystemExit, match="packages could not be installed"):
        install.main(str(tmp_path))
    assert not (tmp_path / ".installed-requirements").exists()


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with pytest.raises(SystemExit, match=r"exists and is no virtual environment.*VENV="):
        install.main(str(tmp_path))
    assert (tmp_path / "thesis.txt").exists()


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "NEEDED_BYTES", 10**18)
    with pytest.raises(SystemExit, match=r"GB free; the packages need 1000000000 GB.*VENV="):
        install.main(str(tmp_path / "venv"))


def test_a_python_without_venv_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer = subprocess.CompletedProcess(
        [], 1, stdout=b"The virtual environment was not created because ensurepip is not available."
    )
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: answer)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    with pytest.raises(SystemExit, match=rf"has no venv module.*apt-get install python{version}-venv"):
        install.make_environment(str(tmp_path / "venv"))
