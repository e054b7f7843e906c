"""A light classifier on embeddings: multinomial logistic regression in numpy, kept in a safetensors file. Knows no database.

Its loss is convex, so a plain accelerated gradient finds the same weights each time; a thousand texts take a second.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

Matrix = NDArray[np.float32]

RIDGES = (1e-2, 3e-3, 1e-3, 3e-4)
FOLDS = 5
_STEPS = 300


class HeadError(ValueError):
    """A file that is no classifier, or texts that none can be learnt from."""


@dataclass(frozen=True)
class Head:
    """weights: (D, K); bias: (K,). embedder: whose vectors it was learnt from; those of another mean nothing to it."""

    labels: tuple[str, ...]
    weights: Matrix
    bias: Matrix
    embedder: str

    def probabilities(self, vectors: Matrix) -> Matrix:
        """vectors: (N, D); returns (N, K), rows summing to 1."""
        return _softmax(vectors @ self.weights + self.bias)

    def shares(self, vectors: Matrix) -> list[dict[str, float]]:
        """The probabilities of each text, by label."""
        return [dict(zip(self.labels, map(float, row), strict=True)) for row in self.probabilities(vectors)]

    def predict(self, vectors: Matrix) -> list[str]:
        return [self.labels[row] for row in self.probabilities(vectors).argmax(axis=1)]


def fit(vectors: Matrix, labels: Sequence[str], *, embedder: str, ridge: float | None = None) -> Head:
    """Learn from texts' vectors and labels; without a ridge the best of RIDGES in cross-validation. Raises HeadError."""
    names = tuple(sorted(set(labels)))
    if len(names) < 2:
        raise HeadError("There must be texts of at least two labels.")
    ridge = ridge if ridge is not None else _best_ridge(vectors, labels, embedder=embedder)
    wanted = np.eye(len(names), dtype=np.float64)[[names.index(label) for label in labels]]
    # Rare labels weigh as much as common ones.
    share = wanted.mean(axis=0)
    weights, bias = _descend(vectors.astype(np.float64), wanted, (wanted @ (1 / (share * len(names))))[:, None], ridge=ridge)
    return Head(names, weights.astype(np.float32), bias.astype(np.float32), embedder)


def cross_validated(
    vectors: Matrix, labels: Sequence[str], *, embedder: str, ridge: float, groups: Sequence[str] | None = None
) -> list[str]:
    """Predict each text with a head that has not seen its fold, nor any text of its group."""
    found = [""] * len(labels)
    for rows, head in _folds(vectors, labels, embedder=embedder, ridge=ridge, groups=groups):
        for row, label in zip(rows, head.predict(vectors[rows]), strict=True):
            found[row] = label
    return found


def cross_shares(vectors: Matrix, labels: Sequence[str], *, of: str, embedder: str) -> Matrix:
    """The probability of one label for each text, by a head that has not seen its fold. Returns (N,)."""
    found = np.zeros(len(labels), dtype=np.float32)
    ridge = _best_ridge(vectors, labels, embedder=embedder)
    for rows, head in _folds(vectors, labels, embedder=embedder, ridge=ridge):
        if of in head.labels:
            found[rows] = head.probabilities(vectors[rows])[:, head.labels.index(of)]
    return found


def _folds(
    vectors: Matrix, labels: Sequence[str], *, embedder: str, ridge: float, groups: Sequence[str] | None = None
) -> Iterator[tuple[list[int], Head]]:
    """The rows of each fold with the head that has learnt from the others."""
    names = list(groups) if groups is not None else [str(row) for row in range(len(labels))]
    folds = np.array([{name: place for place, name in enumerate(dict.fromkeys(names))}[name] % FOLDS for name in names])
    for fold in range(FOLDS):
        kept, left = np.flatnonzero(folds != fold).tolist(), np.flatnonzero(folds == fold).tolist()
        if len({labels[row] for row in kept}) >= 2:
            yield left, fit(vectors[kept], [labels[row] for row in kept], embedder=embedder, ridge=ridge)


def save(head: Head, path: Path) -> None:
    """The file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    metadata = {"labels": json.dumps(head.labels, ensure_ascii=False), "embedder": head.embedder}
    save_file({"weights": head.weights, "bias": head.bias}, draft, metadata=metadata)
    os.replace(draft, path)


def load(path: Path, *, embedder: str) -> Head | None:
    """None where there is none for these vectors yet. Raises HeadError for a file that is broken."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            told = file.metadata() or {}
            labels = tuple(str(label) for label in json.loads(told.get("labels", "[]")))
            weights, bias = file.get_tensor("weights"), file.get_tensor("bias")
    except (SafetensorError, OSError, ValueError) as error:
        raise HeadError(f"{path} is no classifier: {error}") from error
    if weights.shape != (len(weights), len(labels)) or bias.shape != (len(labels),):
        raise HeadError(f"{path} is no classifier: its shapes do not fit its {len(labels)} labels.")
    return Head(labels, weights, bias, embedder) if told.get("embedder") == embedder else None


def _best_ridge(vectors: Matrix, labels: Sequence[str], *, embedder: str) -> float:
    def right(ridge: float) -> int:
        found = cross_validated(vectors, labels, embedder=embedder, ridge=ridge)
        return sum(one == other for one, other in zip(found, labels, strict=True))

    return max(RIDGES, key=right)


def _descend(
    vectors: NDArray[np.float64], wanted: NDArray[np.float64], importance: NDArray[np.float64], *, ridge: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nesterov's accelerated gradient on the mean cross-entropy plus ridge / 2 times the squared weights."""
    rows, width = vectors.shape
    # The curvature's bound; the bias is one more column of ones.
    step = 1 / (0.5 * float(importance.max()) * (float(np.linalg.norm(vectors, 2) ** 2) / rows + 1) + ridge)
    weights = ahead = np.zeros((width, wanted.shape[1]))
    bias = bias_ahead = np.zeros(wanted.shape[1])
    pace = 1.0
    for _ in range(_STEPS):
        off = (_softmax(vectors @ ahead + bias_ahead) - wanted) * importance
        new, new_bias = ahead - step * (vectors.T @ off / rows + ridge * ahead), bias_ahead - step * off.mean(axis=0)
        new_pace = (1 + np.sqrt(1 + 4 * pace * pace)) / 2
        push = (pace - 1) / new_pace
        ahead, bias_ahead = new + push * (new - weights), new_bias + push * (new_bias - bias)
        weights, bias, pace = new, new_bias, new_pace
    return weights, bias


def _softmax(scores: NDArray[np.floating]) -> NDArray[np.floating]:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
