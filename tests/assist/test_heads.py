"""The light classifier: learns what is separable, keeps itself in a file, and never takes another embedder's vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chatbot.assist import heads
from chatbot.assist.heads import HeadError


def _clouds(size: int = 40, seed: int = 3) -> tuple[heads.Matrix, list[str]]:
    """Three clouds of points around three directions, one of them three times as large as the others."""
    rng = np.random.default_rng(seed)
    labels = ["b"] * size * 3 + ["a"] * size + ["c"] * size
    centres = {"a": [1, 0, 0, 0], "b": [0, 1, 0, 0], "c": [0, 0, 1, 0]}
    vectors = np.array([centres[label] for label in labels], dtype=np.float32) + rng.normal(0, 0.15, (len(labels), 4))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels


def test_it_learns_and_its_probabilities_add_up() -> None:
    vectors, labels = _clouds()
    head = heads.fit(vectors, labels, embedder="e")
    fresh, wanted = _clouds(seed=4)
    assert head.labels == ("a", "b", "c")
    assert np.mean([one == other for one, other in zip(head.predict(fresh), wanted, strict=True)]) > 0.97
    assert np.allclose(head.probabilities(fresh).sum(axis=1), 1, atol=1e-5)


def test_the_same_texts_give_the_same_weights() -> None:
    vectors, labels = _clouds()
    one, other = (heads.fit(vectors, labels, embedder="e", ridge=1e-3) for _ in range(2))
    assert np.array_equal(one.weights, other.weights)


def test_a_text_is_never_judged_by_a_head_that_has_seen_its_group() -> None:
    """Every label is a group of its own here, so a left-out fold can only be guessed wrong."""
    vectors, labels = _clouds(size=10)
    groups = [f"{label}{row % 2}" if label == "b" else label for row, label in enumerate(labels)]
    found = heads.cross_validated(vectors, labels, embedder="e", ridge=1e-3, groups=groups)
    assert all(one != "a" for one, label in zip(found, labels, strict=True) if label == "a")


def test_kept_in_a_file_and_only_for_its_own_embedder(tmp_path: Path) -> None:
    vectors, labels = _clouds()
    head = heads.fit(vectors, labels, embedder="e5/1", ridge=1e-3)
    path = tmp_path / "heads" / "x.safetensors"
    heads.save(head, path)
    kept = heads.load(path, embedder="e5/1")
    assert kept is not None and kept.labels == head.labels and np.array_equal(kept.weights, head.weights)
    assert heads.load(path, embedder="other") is None
    assert heads.load(tmp_path / "none", embedder="e5/1") is None
    assert [file.name for file in path.parent.iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\x10\x00\x00\x00\x00\x00\x00\x00{}"])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(HeadError, match="is no classifier"):
        heads.load(path, embedder="e")


def test_one_label_teaches_nothing() -> None:
    with pytest.raises(HeadError, match="two labels"):
        heads.fit(np.ones((3, 2), dtype=np.float32), ["a", "a", "a"], embedder="e")
