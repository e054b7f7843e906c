"""Find Chromium for the browser tests, or install it, or say how.

    python -m support_portal.devservices.browser

Prints the path. Looks at CHROMIUM, then for the system's own, then for Playwright's build.
"""

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ADVICE = (
    "The browser tests need Chromium, and it could not be installed by itself. Install it "
    "(Debian, Ubuntu: apt-get install chromium; or: {python} -m playwright install --with-deps chromium), "
    "or name the program: make test CHROMIUM=/path/to/chromium"
)


class BrowserError(Exception):
    """A sentence that says how to get a browser."""


def find_chromium() -> str | None:
    """Return the path of a Chromium that starts. Raises BrowserError when CHROMIUM names one that does not."""
    named = os.environ.get("CHROMIUM")
    if named:
        if starts(named):
            return named
        raise BrowserError(f"CHROMIUM={named} does not start. Correct it, or unset it to let the tests look for a browser.")
    found = [path for path in map(shutil.which, NAMES) if path] + playwright_builds()
    return next(filter(starts, found), None)


def playwright_builds() -> list[str]:
    """Return the builds that `playwright install` has put into its cache, newest first."""
    cache = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    folders = [Path(cache)] if cache else [Path.home() / ".cache/ms-playwright", Path.home() / "Library/Caches/ms-playwright"]
    programs = ("chrome-linux*/chrome", "chrome-mac*/Chromium.app/Contents/MacOS/Chromium", "chrome-linux*/headless_shell")
    return [
        path for folder in folders for program in programs for path in sorted(glob.glob(f"{folder}/chromium*/{program}"))[::-1]
    ]


def starts(program: str) -> bool:
    """Return whether the program runs: Ubuntu's `chromium-browser` may be a mere note about a snap."""
    try:
        return subprocess.run([program, "--version"], capture_output=True, timeout=30, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def install_chromium() -> None:
    """Try Playwright's own build, then (as root) the system's package. What fails is told by the next look."""
    say("No Chromium found; trying Playwright's own build ...")
    run([sys.executable, "-m", "playwright", "install", "chromium"])
    if not any(map(starts, playwright_builds())) and os.geteuid() == 0 and shutil.which("apt-get"):
        say("Trying the system's package ...")
        run(["apt-get", "update"])
        run(["apt-get", "install", "-y", "--no-install-recommends", "chromium"])


def run(command: list[str]) -> None:
    """Show the command's own output and progress on our stderr: stdout is for the path."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(command, env=environment, stdout=sys.stderr.fileno(), check=False)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    try:
        program = find_chromium()
        if program is None:
            install_chromium()
            program = find_chromium()
    except BrowserError as error:
        say(str(error))
        return 1
    if program is None:
        say(ADVICE.format(python=sys.executable))
        return 1
    print(program)
    return 0


if __name__ == "__main__":
    sys.exit(main())
