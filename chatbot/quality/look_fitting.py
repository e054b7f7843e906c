"""Fit the head that reads a second look (chatbot/answering/look_head.py) to base weights, from questions whose answer is known.

A ridge-penalised logistic regression on the state of one layer tells which entries answer; the join with the search's confidence
is fitted to likelihoods that each question gets from the questions of the other folds. The layer and the penalty were chosen on
the demo's questions with Qwen2.5-Coder-1.5B: layers from three fifths to five sevenths of the way up hardly differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chatbot.answering.look_head import Join, LookHead, behind, log_odds
from chatbot.knowledge.evaluation import auroc

Matrix = NDArray[np.float64]

# Of the way up: layer 18 of 28.
DEPTH = 2 / 3
RIDGE = 1000.0
FOLDS = 5
_NEWTON_STEPS = 15
# Weak: there are few questions and five numbers.
_JOIN_PENALTY = 0.003
_JUST_SAID = 1.0
_NEUTRAL = 0.3


@dataclass(frozen=True)
class Looked:
    """One question and the N entries looked at.

    states: (N, width). yes: how probable the model held that word. scores: the search's. said: which the customer has just read.
    right: the place of the entry that answers, None where none does. for_join: customers ask so, and the search found so.
    """

    text: str
    states: NDArray[np.float32]
    yes: tuple[float, ...]
    scores: tuple[float, ...]
    confidence: float
    said: tuple[bool, ...]
    right: int | None
    for_join: bool = True

    @property
    def fold(self) -> int:
        return hashlib.sha256(self.text.encode()).digest()[1] % FOLDS

    @property
    def labels(self) -> Matrix:
        return np.array([place == self.right for place in range(len(self.scores))], dtype=np.float64)


def fit_head(looked: Sequence[Looked], *, layer: int) -> tuple[LookHead, list[Matrix]]:
    """The head, and the log odds that each question's entries got from the other folds. Raises ValueError if one kind lacks."""
    if not any(one.for_join and one.right is not None for one in looked):
        raise ValueError("Of no question that was asked is the FAQ that answers it among those that were looked at.")
    crossed: dict[int, Matrix] = {}
    for fold in range(FOLDS):
        weights, bias = _plane([one for one in looked if one.fold != fold])
        crossed |= {place: one.states @ weights + bias for place, one in enumerate(looked) if one.fold == fold}
    asked = [place for place, one in enumerate(looked) if one.for_join]
    weights, bias = _plane(looked)
    join = _join([looked[place] for place in asked], [crossed[place] for place in asked])
    return LookHead(layer, weights.astype(np.float32), bias, join), [crossed[place] for place in range(len(looked))]


def figures_of(looked: Sequence[Looked], crossed: Sequence[Matrix]) -> dict[str, float | None]:
    """How well likelihoods from other folds tell what answers, beside the model's own word, of the questions customers ask."""
    asked = [(one, odds) for one, odds in zip(looked, crossed, strict=True) if one.for_join]
    rows: dict[str, float | None] = {"questions": len(asked), "phrasings": len(looked) - len(asked)}
    for name, odds in (("head", [odds for _, odds in asked]), ("word", [np.array(one.yes) for one, _ in asked])):
        labels = np.concatenate([one.labels for one, _ in asked])
        likeliest = np.array([max(one) for one in odds])
        known = np.array([one.right is not None for one, _ in asked])
        first = [odds[place].argmax() == one.right for place, (one, _) in enumerate(asked) if one.right is not None]
        every = np.concatenate(odds)
        rows[f"{name}: entries, AUROC"] = auroc(every[labels == 1].tolist(), every[labels == 0].tolist())
        rows[f"{name}: one of them or none, AUROC"] = auroc(likeliest[known].tolist(), likeliest[~known].tolist())
        rows[f"{name}: right entry first"] = float(np.mean(first)) if first else 0.0
    return rows


def _plane(looked: Sequence[Looked]) -> tuple[Matrix, float]:
    """Returns weights (width,) and bias for states as they are."""
    states = np.concatenate([one.states for one in looked]).astype(np.float64)
    labels = np.concatenate([one.labels for one in looked])
    if len(set(labels.tolist())) < 2:
        raise ValueError("There must be entries that answer and entries that do not.")
    means, scales = states.mean(axis=0), states.std(axis=0) + 1e-6
    design = np.column_stack([(states - means) / scales, np.ones(len(states))])
    weights = _logistic(design, labels, penalty=np.array([RIDGE] * states.shape[1] + [1e-3]))
    plain = weights[:-1] / scales
    return plain, float(weights[-1] - means @ plain)


def _join(looked: Sequence[Looked], odds: Sequence[Matrix]) -> Join:
    """odds: of each question's entries, in log odds. Which entry it is and whether one does are apart, so one is fitted first."""
    told = [own - _JUST_SAID * np.array(one.said) for one, own in zip(looked, odds, strict=True)]
    features = [np.column_stack([-behind(one.scores), own]) for one, own in zip(looked, told, strict=True)]
    penalty = 2 * _JOIN_PENALTY * len(looked)
    which = _softmax([(rows, one.right) for rows, one in zip(features, looked, strict=True) if one.right is not None], penalty)
    likeliest = [own[(rows @ which).argmax()] for rows, own in zip(features, told, strict=True)]
    design = np.column_stack([np.ones(len(looked)), [log_odds(one.confidence) for one in looked], likeliest])
    answered = np.array([one.right is not None for one in looked], dtype=np.float64)
    whether = _logistic(design, answered, penalty=np.full(3, penalty))
    lag, told_which, bias, search, told_whether = map(float, (*which, *whether))
    return Join(lag, told_which, bias, search, told_whether, just_said=_JUST_SAID, neutral=_NEUTRAL)


def _logistic(design: Matrix, labels: Matrix, *, penalty: Matrix) -> Matrix:
    """Newton's method on the summed loss and half the penalised squares; returns the weights."""
    weights = np.zeros(design.shape[1])
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (chance - labels) + penalty * weights
        weights -= np.linalg.solve((design * (chance * (1 - chance))[:, None]).T @ design + np.diag(penalty), gradient)
    return weights


def _softmax(choices: Sequence[tuple[Matrix, int]], penalty: float) -> Matrix:
    """The same for choices of one row among several: each the rows' features, and which of them was right."""
    weights = np.zeros(choices[0][0].shape[1])
    for _ in range(_NEWTON_STEPS):
        gradient, curvature = penalty * weights, penalty * np.eye(len(weights))
        for rows, right in choices:
            shares = np.exp(rows @ weights - (rows @ weights).max())
            shares /= shares.sum()
            mean = shares @ rows
            gradient += mean - rows[right]
            curvature += (rows * shares[:, None]).T @ rows - np.outer(mean, mean)
        weights -= np.linalg.solve(curvature, gradient)
    return weights
