from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import llama_server
from benchmarks.llama_server import LlamaMissing, find_gguf, find_server, find_tool, known_model, parse_events
from chatbot.engine.known_models import KNOWN_MODELS, SMALL_MODEL


def test_events_of_the_stream() -> None:
    lines = [
        b'data: {"tokens": [1], "stop": false}\n',
        b"\n",
        b": keep-alive\n",
        b'data: {"tokens": [], "stop": true}\n',
        b"data: [DONE]\n",
    ]
    assert [event["tokens"] for event in parse_events(iter(lines))] == [[1], []]


def test_an_error_in_the_stream_is_raised() -> None:
    with pytest.raises(RuntimeError, match="too long"):
        list(parse_events(iter([b'data: {"error": {"message": "too long"}}\n'])))


def test_a_model_is_known_by_what_it_was_made_from(tmp_path: Path) -> None:
    assert known_model(tmp_path) is None
    (tmp_path / "manifest.json").write_text(json.dumps({"source_sha256": KNOWN_MODELS[SMALL_MODEL].sha256}))
    assert known_model(tmp_path) is KNOWN_MODELS[SMALL_MODEL]
    (tmp_path / "manifest.json").write_text(json.dumps({"source_sha256": "0" * 64}))
    with pytest.raises(LlamaMissing, match="--gguf FILE"):
        find_gguf(tmp_path, tmp_path)


def test_a_missing_tool_is_named_with_what_to_do() -> None:
    with pytest.raises(LlamaMissing, match=r"needs no-such-tool: .*benchmarks/requirements.txt"):
        find_tool("no-such-tool")


def test_a_finished_build_is_used_again_and_an_unfinished_one_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = tmp_path / "llama-server-0.3.36"
    (build / "bin").mkdir(parents=True)
    (build / "bin/llama-server").touch()
    monkeypatch.setattr(llama_server, "find_tool", lambda name: (_ for _ in ()).throw(LlamaMissing("would build")))
    with pytest.raises(LlamaMissing, match="would build"):
        find_server(tmp_path, cuda=False)
    (build / "finished").touch()
    assert find_server(tmp_path, cuda=False) == build / "bin/llama-server"
    with pytest.raises(LlamaMissing, match="would build"):
        find_server(tmp_path, cuda=True)
