"""What the model thinks of an entry, read from the middle of it: a linear classifier on one layer's state.

Asked whether a passage answers, a small model knows more than it says: its word mixes "does the passage answer?" with "is the
answer yes?", and comes out between 0.4 and 0.7 either way. Two thirds of the way up, its state parts the two kinds by a plane
(a linear probe: Alain and Bengio 2016). A head belongs to the base weights it was fitted on and is found by their name; weights
without a head are asked for their word. Pure numpy.
"""

from __future__ import annotations

import functools
import json
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

logger = logging.getLogger(__name__)

SHIPPED = Path(__file__).resolve().parent / "look_heads"


@dataclass(frozen=True)
class Join:
    """How the likelihood of each entry and the search's confidence are joined, in log odds.

    which_*: which entry it is, given that one answers (a softmax over likelihood and distance in score). whether_*: whether one
    does (a logistic model). just_said: what an entry loses that the customer has just read: who asks on seldom wants the same
    again, yet the model likes it, for it is about the same thing. neutral: the likelihood of an entry not looked at.
    """

    which_behind: float
    which_told: float
    whether_bias: float
    whether_search: float
    whether_told: float
    just_said: float
    neutral: float


@dataclass(frozen=True)
class LookHead:
    """layer: counted from 0. weights: (width,)."""

    layer: int
    weights: NDArray[np.float32]
    bias: float
    join: Join

    def likelihood(self, hidden: tuple[float, ...]) -> float | None:
        """How likely the entry answers; None for the state of other weights."""
        if len(hidden) != len(self.weights):
            return None
        return 1 / (1 + math.exp(-min(max(float(np.dot(self.weights, np.array(hidden))) + self.bias, -30.0), 30.0)))


def log_odds(chance: float) -> float:
    chance = min(max(chance, 0.001), 0.999)
    return math.log(chance / (1 - chance))


def behind(scores: Sequence[float]) -> NDArray[np.float64]:
    """How far each entry's score lies behind the first one's, as a share of it."""
    return 1.0 - np.array(scores) / scores[0] if scores[0] > 0 else np.zeros(len(scores))


@functools.cache
def head_for(model: str, *, folder: Path | None = None) -> LookHead | None:
    """The head of these base weights, of the folder rather than the shipped one; None where there is none.

    A file that is no head is passed over, and said once in the log: answers go on without it.
    """
    for path in [path_of(model, folder=place) for place in (folder, SHIPPED) if place]:
        try:
            if path.is_file():
                return load(path)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            logger.error("%s is no head for a second look (%s); fit it again with manage.py fitlook", path, type(error).__name__)
    return None


def path_of(model: str, *, folder: Path) -> Path:
    return folder / f"{Path(model).name.lower()}.safetensors"


def load(path: Path) -> LookHead:
    """Raises SafetensorError, OSError, ValueError, KeyError or TypeError for a file that is no head."""
    with safe_open(path, framework="numpy") as file:
        told = file.metadata() or {}
        weights, bias = file.get_tensor("weights"), file.get_tensor("bias")
    if weights.ndim != 1 or not np.isfinite(weights).all():
        raise ValueError("its weights are no row of numbers")
    return LookHead(int(told["layer"]), weights, float(bias[0]), Join(**json.loads(told["join"])))


def save(head: LookHead, path: Path) -> None:
    """The file appears whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    tensors = {"weights": head.weights.astype(np.float32), "bias": np.array([head.bias], dtype=np.float32)}
    save_file(tensors, draft, metadata={"layer": str(head.layer), "join": json.dumps(asdict(head.join))})
    draft.chmod(0o644)  # safetensors writes for the owner alone, and the workers may be another user.
    os.replace(draft, path)
