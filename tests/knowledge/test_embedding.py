import json
from pathlib import Path

import numpy as np
import pytest

from chatbot.engine import embedder as packaged
from chatbot.engine.folder_embedder import EmbedderFolderError
from chatbot.knowledge.embedding import JoinedEmbedder, embedder_from
from tests.knowledge.conftest import WordEmbedder


class TwoParts(WordEmbedder):
    parts = (32, 32)


def test_packages_are_the_default() -> None:
    assert embedder_from("packages") is packaged.default_embedder()
    assert embedder_from("") is packaged.default_embedder()


def test_joined_parts_weigh_the_same() -> None:
    joined = JoinedEmbedder([TwoParts("a"), WordEmbedder("b")])
    vectors = joined.encode(["where is my parcel", "return it"])
    assert joined.parts == (32, 32, 64) and joined.dimensions == vectors.shape[1] == 128
    assert joined.name == "a+b"
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(vectors[:, 64:], axis=1), np.sqrt(1 / 3), atol=1e-5)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 8}))
    with pytest.raises(EmbedderFolderError, match="safetensors"):
        embedder_from(f"packages+{tmp_path}")
