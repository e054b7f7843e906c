"""Make the virtual environment and install requirements.txt into it, again only when the file has changed.

    python3 support_portal/devservices/install.py VENV

Runs under the system's own Python, which may be too old for the rest: standard library and Python 3.6's syntax only.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

OLDEST_PYTHON = (3, 11)
NEEDED_BYTES = 4 * 10**9  # the packages, and the wheels while they are unpacked
PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main(venv: str) -> None:
    """Leave a complete environment behind, or exit with a sentence."""
    require_python()
    with open(os.path.abspath(venv) + ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another make is installing into {venv}; waiting for it ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        install(venv)


def install(venv: str) -> None:
    requirements = os.path.join(PROJECT, "requirements.txt")
    stamp = os.path.join(venv, ".installed-requirements")
    wanted = digest(requirements)
    complete = runs(venv)
    if complete and os.path.exists(stamp) and read(stamp) == wanted:
        return
    if not complete:
        require_room(venv)
        make_environment(venv)
    say(f"Installing the packages of requirements.txt into {venv} (a few minutes the first time) ...")
    pip = [interpreter(venv), "-m", "pip", "install", "--disable-pip-version-check"]
    subprocess.call([*pip, "--quiet", "pip>=25.1"])  # the first that shows its progress while it unpacks; an older one does, too
    if subprocess.call([*pip, "-r", requirements]) != 0:
        fail(
            "The packages could not be installed; pip's message stands above. With a proxy or a mirror in the way set pip's "
            "own variables (PIP_PROXY, PIP_INDEX_URL), then run make again."
        )
    with open(stamp, "w") as file:
        file.write(wanted)


def make_environment(venv: str) -> None:
    """Make it anew: a half made one (Ctrl-C, a Python that is gone) cannot be mended."""
    if os.path.isdir(venv) and os.listdir(venv) and not os.path.exists(os.path.join(venv, "pyvenv.cfg")):
        fail(f"{venv} exists and is no virtual environment. Move it away, or choose another: make demo VENV=some/folder")
    say(f"Making the virtual environment {venv} ...")
    shutil.rmtree(venv, ignore_errors=True)
    result = subprocess.run([sys.executable, "-m", "venv", venv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode == 0:
        return
    shutil.rmtree(venv, ignore_errors=True)
    output = result.stdout.decode(errors="replace")
    if "ensurepip" in output or "No module named venv" in output:
        version = "{}.{}".format(*sys.version_info)
        fail(
            f"This Python has no venv module. Install it and run make again; Debian, Ubuntu: apt-get install python{version}-venv"
        )
    fail(f"The virtual environment {venv} could not be made:\n{output}")


def require_python() -> None:
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return
    newer = [name for name in ("python3.14", "python3.13", "python3.12", "python3.11") if shutil.which(name)]
    advice = (
        f"Use the one you have: make demo PYTHON={newer[0]}" if newer else "Install one and name it: make demo PYTHON=python3.12"
    )
    fail("Answerdesk needs Python 3.11 or newer; {} is {}.{}. {}".format(sys.executable, *sys.version_info[:2], advice))


def require_room(venv: str) -> None:
    free_bytes = shutil.disk_usage(os.path.dirname(os.path.abspath(venv))).free
    if free_bytes < NEEDED_BYTES:
        fail(
            f"The disk of {venv} has {free_bytes / 1e9:.1f} GB free; the packages need {NEEDED_BYTES / 1e9:.0f} GB. "
            "Free some space, or put the environment on another disk: make demo VENV=/other/disk/venv"
        )


def runs(venv: str) -> bool:
    """Return whether the environment has a Python whose pip answers."""
    try:
        return subprocess.call([interpreter(venv), "-c", "import pip"], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def interpreter(venv: str) -> str:
    return os.path.join(venv, "bin", "python")


def digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def read(path: str) -> str:
    with open(path) as file:
        return file.read()


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def fail(sentence: str) -> None:
    sys.exit(f"\n{sentence}")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit(130)
