from pathlib import Path

import pytest

from support_portal.devservices import browser


def program(path: Path, *, exit_code: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {exit_code}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def _empty_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "playwright"))


def test_the_named_browser_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "chromium", exit_code=0)
    named = program(tmp_path / "mine", exit_code=0)
    monkeypatch.setenv("CHROMIUM", str(named))
    assert browser.find_chromium() == str(named)


def test_a_named_browser_that_does_not_start_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "gone"))
    assert browser.main() == 1
    assert "does not start. Correct it, or unset it" in capsys.readouterr().err


def test_a_program_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "chromium-browser", exit_code=1)
    build = program(tmp_path / "playwright" / "chromium-1200" / "chrome-linux" / "chrome", exit_code=0)
    assert browser.find_chromium() == str(build)


def test_without_any_browser_the_sentence_says_how(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    tried: list[list[str]] = []
    monkeypatch.setattr(browser, "run", tried.append)
    assert browser.main() == 1
    assert tried[0][1:] == ["-m", "playwright", "install", "chromium"]
    said = capsys.readouterr()
    assert "apt-get install chromium" in said.err
    assert "make test CHROMIUM=/path/to/chromium" in said.err
    assert said.out == ""
