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
import torch
from numpy.typing import NDArray

from chatbot.answering.look_head import Join, LookHead
from chatbot.knowledge.evaluation import auroc

Matrix = NDArray[np.float64]

# Of the way up: layer 18 of 28.
DEPTH = 2 / 3
RIDGE = 1000.0
FOLDS = 5
_NEWTON_STEPS = 15
# Weak: there are few questions and five numbers.
_JOIN_PENALTY = 0.003
_JOIN_STEPS = 200
_JUST_SAID = 1.0


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
    """The head, and the log odds that each question's entries got from the other folds. Raises ValueError for only one kind."""
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
        rows[f"{name}: answerable or not, AUROC"] = auroc(likeliest[known].tolist(), likeliest[~known].tolist())
        rows[f"{name}: right entry first"] = float(np.mean(first)) if first else 0.0
    return rows


def _plane(looked: Sequence[Looked]) -> tuple[Matrix, float]:
    """Newton's method on the summed loss; returns weights (width,) and bias for states as they are."""
    states = np.concatenate([one.states for one in looked]).astype(np.float64)
    labels = np.concatenate([one.labels for one in looked])
    if len(set(labels.tolist())) < 2:
        raise ValueError("There must be entries that answer and entries that do not.")
    means, scales = states.mean(axis=0), states.std(axis=0) + 1e-6
    design = np.column_stack([(states - means) / scales, np.ones(len(states))])
    penalty = np.array([RIDGE] * states.shape[1] + [1e-3])
    weights = np.zeros(design.shape[1])
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (chance - labels) + penalty * weights
        weights -= np.linalg.solve((design * (chance * (1 - chance))[:, None]).T @ design + np.diag(penalty), gradient)
    plain = weights[:-1] / scales
    return plain, float(weights[-1] - means @ plain)


def _join(looked: Sequence[Looked], odds: Sequence[Matrix]) -> Join:
    """The likeliest five numbers. odds: of each question's entries, in log odds."""
    rows = [
        (
            torch.tensor(told - _JUST_SAID * np.array(one.said)),
            torch.tensor([1 - score / one.scores[0] for score in one.scores], dtype=torch.float64),
            torch.logit(torch.tensor(one.confidence, dtype=torch.float64), eps=1e-3),
            one.right,
        )
        for one, told in zip(looked, odds, strict=True)
    ]
    numbers = torch.tensor([2.0, 1.0, 0.0, 0.5, 1.0], dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([numbers], max_iter=_JOIN_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        total = _JOIN_PENALTY * numbers.square().sum()
        for told, behind, confidence, right in rows:
            which = numbers[1] * told - numbers[0] * behind
            whether = numbers[2] + numbers[3] * confidence + numbers[4] * told[which.argmax()]
            if right is None:
                total = total + torch.nn.functional.softplus(whether) / len(rows)
            else:
                told_right = torch.log_softmax(which, dim=0)[right] - torch.nn.functional.softplus(-whether)
                total = total - told_right / len(rows)
        total.backward()  # type: ignore[no-untyped-call]
        return total

    search.step(loss)  # type: ignore[no-untyped-call]
    behind, told, bias, confidence, whether = map(float, numbers.detach())
    return Join(behind, told, bias, confidence, whether, just_said=_JUST_SAID, neutral=0.3)
