"""The real hub client against a small hub on this machine: one commit, no pickles, no code, known bytes only."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chatbot.engine import hub
from chatbot.engine.fetching import Doors, fetch_model
from chatbot.engine.folder_checks import verify_model_folder
from chatbot.engine.known_models import DEFAULT_MODEL, KNOWN_MODELS, KnownModel
from chatbot.engine.manifest import ModelRefused
from tests.engine.tiny_files import write_model_folder

COMMIT = "c0ffee" + "0" * 34


class SmallHub(BaseHTTPRequestHandler):
    """Answers the three questions the client asks: what a model is, how long a file is, and the file."""

    files: dict[str, bytes] = {}
    asked: list[str] = []
    status = 200
    protocol_version = "HTTP/1.1"

    def answer(self, body: bytes, *, status: int, headers: dict[str, str], send: bool) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if send:
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.handle_file(send=False)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/org/name/revision/") or path == "/api/models/org/name":
            siblings = [{"rfilename": name, "size": len(content)} for name, content in self.files.items()]
            model = {"id": "org/name", "sha": COMMIT, "siblings": siblings, "cardData": {"license": "mit"}}
            headers = {"Content-Type": "application/json"}
            self.answer(json.dumps(model).encode(), status=self.status, headers=headers, send=True)
        elif path.startswith("/api/"):
            self.answer(b"{}", status=404, headers={"X-Error-Code": "RepoNotFound"}, send=True)
        else:
            self.handle_file(send=True)

    def handle_file(self, *, send: bool) -> None:
        path = self.path.partition("?")[0]
        name = path.rpartition("/")[2]
        if "/resolve/" not in path or name not in self.files:
            self.answer(b"", status=404, headers={"X-Error-Code": "EntryNotFound"}, send=send)
            return
        self.asked.append(f"{self.command} {name}")
        content = self.files[name]
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        self.answer(content, status=200, headers=headers, send=send)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output quiet."""


@pytest.fixture
def small_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = write_model_folder(tmp_path / "published")
    monkeypatch.setattr(SmallHub, "files", {path.name: path.read_bytes() for path in folder.iterdir()})
    monkeypatch.setattr(SmallHub, "asked", [])
    server = ThreadingHTTPServer(("127.0.0.1", 0), SmallHub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def doors(endpoint: str) -> Doors:
    return Doors(
        find_hub_model=partial(hub.find_hub_model, endpoint=endpoint),
        download_hub_model=partial(hub.download_hub_model, endpoint=endpoint),
    )


def test_a_model_is_fetched_by_commit_without_pickles_or_code(small_hub: str, tmp_path: Path) -> None:
    extra = ("pytorch_model.bin", "modeling.py", "consolidated.safetensors", "README.md")
    SmallHub.files.update(dict.fromkeys(extra, b"not wanted"))
    folder = fetch_model("org/name@v1", models_dir=tmp_path / "models", progress=False, doors=doors(small_hub))
    assert folder.name == "org--name"
    manifest = verify_model_folder(folder, full=True)
    assert (manifest.source, manifest.revision, manifest.licence) == ("hub:org/name", COMMIT, "mit")
    assert set(manifest.files) == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert not {f"GET {name}" for name in extra} & set(SmallHub.asked)
    SmallHub.asked.clear()
    fetch_model("org/name@v1", models_dir=tmp_path / "models", progress=False, doors=doors(small_hub))
    assert SmallHub.asked == []


def test_a_model_with_pickles_only_is_refused(small_hub: str) -> None:
    SmallHub.files["pytorch_model.bin"] = SmallHub.files.pop("model.safetensors")
    with pytest.raises(ModelRefused) as refusal:
        hub.find_hub_model("org/name", "", endpoint=small_hub)
    assert refusal.value.code == "model_pickle_refused"


def test_a_collection_of_gguf_files_is_refused(small_hub: str) -> None:
    SmallHub.files["model.gguf"] = SmallHub.files.pop("model.safetensors")
    with pytest.raises(ModelRefused, match="give its path") as refusal:
        hub.find_hub_model("org/name", "", endpoint=small_hub)
    assert refusal.value.code == "model_missing_file"


def test_an_unknown_model_is_refused(small_hub: str) -> None:
    with pytest.raises(ModelRefused, match="spelling") as refusal:
        hub.find_hub_model("org/other", "", endpoint=small_hub)
    assert refusal.value.code == "model_source_unknown"


def test_a_hub_that_does_not_answer_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="check the network") as refusal:
        fetch_model("org/name", models_dir=tmp_path, progress=False, doors=doors("http://127.0.0.1:9"))
    assert refusal.value.code == "model_download_failed"
    assert [path.name for path in tmp_path.iterdir()] == [".lock-org--name"]


@pytest.fixture
def published(small_hub: str, monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    """A known model whose file the small hub has."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    content = b"GGUF and so on"
    model = KNOWN_MODELS[DEFAULT_MODEL]
    SmallHub.files[model.hub_file] = content
    return replace(model, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def test_the_known_file_comes_from_the_hub(published: KnownModel, small_hub: str, tmp_path: Path) -> None:
    came = hub.download_known(published, tmp_path / "hub", endpoint=small_hub)
    assert came is not None
    assert came.read_bytes() == b"GGUF and so on"


def test_other_bytes_are_not_even_downloaded(published: KnownModel, small_hub: str, tmp_path: Path) -> None:
    SmallHub.files[published.hub_file] = b"GGUF and so no"
    assert hub.download_known(published, tmp_path / "hub", endpoint=small_hub) is None
    assert SmallHub.asked == [f"HEAD {published.hub_file}"]


def test_an_offline_or_silent_hub_is_passed_over(
    published: KnownModel, small_hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hub.download_known(published, tmp_path / "hub", endpoint="http://127.0.0.1:9") is None
    monkeypatch.setattr(hub, "CONNECT_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and never says a word
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert hub.download_known(published, tmp_path / "hub", endpoint=endpoint) is None
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub.download_known(published, tmp_path / "hub", endpoint=small_hub) is None
    assert SmallHub.asked == []
