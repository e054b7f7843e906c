from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from chatbot.engine.engine import BatchedEngine
from chatbot.engine.fake import ScriptedEngine
from chatbot.engine.remote import RemoteEngine
from chatbot.engine.requests import Engine
from tests.engine.openai_server import OpenAIServer
from tests.engine.tiny_models import write_tiny_model

# MODEL_DEVICE=cuda runs the contract and the exactness tests on a GPU machine.
DEVICE = os.environ.get("MODEL_DEVICE", "cpu")
SHAPES = ("gpt2", "bloom", "llama", "qwen2", "mistral", "gemma", "gemma2")


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder a shape, shared by all tests: do not write into them."""
    torch.set_num_threads(1)  # tiny matrices gain nothing from a second thread
    return {shape: write_tiny_model(tmp_path_factory.mktemp(shape), shape=shape) for shape in SHAPES}


@pytest.fixture
def make_engine(tiny_folders: dict[str, Path]) -> Iterator[object]:
    """Start batched engines over tiny weights and stop them after the test."""
    started: list[BatchedEngine] = []

    def make(folder: Path | str = "qwen2", **settings: object) -> BatchedEngine:
        path = folder if isinstance(folder, Path) else tiny_folders[folder]
        engine = BatchedEngine(
            path, **{"device": DEVICE, "dtype": "float32", "context_tokens": 1024, "max_running": 4, **settings}
        )
        engine.start()
        started.append(engine)
        return engine

    yield make
    for engine in started:
        engine.stop()


@pytest.fixture(params=["scripted", "batched", "remote"])
def engine(request: pytest.FixtureRequest, tiny_folders: dict[str, Path]) -> Iterator[Engine]:
    """Every engine behind one contract: two running, two waiting."""
    made: Engine
    server = None
    if request.param == "batched":
        made = BatchedEngine(
            tiny_folders["qwen2"], device=DEVICE, dtype="float32", max_running=2, max_waiting=2, context_tokens=1024
        )
    elif request.param == "scripted":
        made = ScriptedEngine(pieces_per_answer=2000, gap_s=0.002, max_running=2, max_waiting=2, context_tokens=1024)
    else:
        server = OpenAIServer(ScriptedEngine(pieces_per_answer=2000, gap_s=0.002, context_tokens=1024))
        made = RemoteEngine(server.url, max_running=2, max_waiting=2)
    made.start()
    yield made
    made.stop()
    if server is not None:
        server.stop()
