"""How sure the ranking is: the probability that its first entry answers the question. Pure numpy.

confidence = P(some entry answers it) * P(the first one does, given that some entry does). Both are small logistic models that
a knowledge base fits on its own phrasings: each phrasing is asked once without itself (is its entry still first?) and once
without its whole entry (nothing answers it any more). No question of a customer is needed, and no raw cosine is compared with
a hard-coded number, except while a base is too small to calibrate itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot.knowledge.scoring import Matrix, Scorer, Scores

# DIRECT_AT: at most 3 % wrong among what is quoted at or above it, chosen on one half (by hash of the text) of the questions of
# BANKING77 and CLINC150. A composed answer may draw on the first three entries, which hold the right one far more often than
# the first does, and the model may decline. Below CLARIFY_AT the candidates are rarely worth a customer's time.
DIRECT_AT = 0.90
COMPOSE_AT = 0.65
CLARIFY_AT = 0.20

# Of three or four questions that reach a service desk, one is answered by nothing in its FAQs.
_UNANSWERED_WEIGHT = 0.3
# Fewer phrasings than this say too little; more than this many cost time and add nothing.
_MIN_SAMPLE = 60
_MAX_SAMPLE = 2000
# A base that misses one of its phrasings is poorer than the base: left-one-out results are this much too low, in log odds.
# Fitted on the tuning halves (slope 1.02, left at 1); afterwards 0.15 to 0.9 mean what they say on all the other halves.
_LEFT_OUT_SHIFT = 1.2
_PENALTY = 1.0
_NEWTON_STEPS = 25
_BATCH = 256


@dataclass(frozen=True)
class Evidence:
    """What the ranking of each of M questions looks like; all arrays (M,).

    likeness, head: of the first entry. margin: its lead in the fused score. gap: its lead in likeness over the likest other.
    """

    top: NDArray[np.intp]
    likeness: Matrix
    head: Matrix
    margin: Matrix
    gap: Matrix


def evidence_of(scores: Scores) -> Evidence:
    """Read the evidence off the scores. A single entry has no rival; its lead is then a middling one."""
    fused, likeness = scores.fused, scores.likeness
    rows = np.arange(len(fused))
    top = fused.argmax(axis=1)
    first = likeness[rows, top]
    if fused.shape[1] > 1:
        two = np.partition(fused, -2, axis=1)
        others = likeness.copy()
        others[rows, top] = -1.0
        margin, gap = two[:, -1] - two[:, -2], first - others.max(axis=1)
    else:
        margin, gap = np.ones(len(fused), dtype=np.float32), np.full(len(fused), 0.1, dtype=np.float32)
    return Evidence(top=top, likeness=first, head=scores.head[rows, top], margin=margin, gap=gap)


@dataclass(frozen=True)
class Logistic:
    """A logistic model over standardised features."""

    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    def probability(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """features: (M, K); returns (M,)."""
        standard = (features - np.array(self.means)) / np.array(self.scales)
        return np.asarray(1 / (1 + np.exp(-np.clip(standard @ np.array(self.weights) + self.bias, -30, 30))))


def fit_logistic(features: NDArray[Any], outcomes: NDArray[Any], *, sample_weights: NDArray[Any] | None = None) -> Logistic:
    """Fit by Newton's method with a ridge penalty. Weights below zero are set to zero: more evidence never lowers confidence."""
    importance = np.ones(len(features)) if sample_weights is None else sample_weights
    means, scales = features.mean(axis=0), features.std(axis=0) + 1e-6
    design = np.column_stack([(features - means) / scales, np.ones(len(features))])
    penalty = np.array([_PENALTY] * features.shape[1] + [1e-3])
    allowed = np.ones(design.shape[1], dtype=bool)
    weights = np.zeros(design.shape[1])
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (importance * (chance - outcomes)) + penalty * weights
        curvature = (design * (importance * chance * (1 - chance))[:, None]).T @ design + np.diag(penalty)
        weights = weights - np.linalg.solve(curvature, gradient) * allowed
        if (negative := weights[:-1] < 0).any():
            allowed[:-1] &= ~negative
            weights[:-1][negative] = 0.0
    return Logistic(
        means=tuple(map(float, means)),
        scales=tuple(map(float, scales)),
        weights=tuple(map(float, weights[:-1])),
        bias=float(weights[-1]),
    )


@dataclass(frozen=True)
class Calibration:
    """The two models, a correction in log odds, and on how many phrasings they were fitted (0: the fixed fallback)."""

    answered: Logistic
    first: Logistic
    shift: float = 0.0
    sample: int = 0

    def confidence(self, evidence: Evidence) -> NDArray[np.float64]:
        """The probability that each question's first entry is right; (M,)."""
        chance = self.answered.probability(_answered_features(evidence)) * self.first.probability(_first_features(evidence))
        return np.asarray(chance / (chance + (1 - chance) * np.exp(-self.shift)))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Calibration:
        return cls(
            answered=_logistic_from(stored["answered"]),
            first=_logistic_from(stored["first"]),
            shift=float(stored["shift"]),
            sample=int(stored["sample"]),
        )


def _logistic_from(stored: Mapping[str, Any]) -> Logistic:
    return Logistic(
        means=tuple(stored["means"]), scales=tuple(stored["scales"]), weights=tuple(stored["weights"]), bias=float(stored["bias"])
    )


def _answered_features(evidence: Evidence) -> NDArray[Any]:
    return np.column_stack([evidence.likeness, evidence.head])


def _first_features(evidence: Evidence) -> NDArray[Any]:
    return np.column_stack([evidence.likeness, evidence.margin, evidence.gap])


# For bases too small to calibrate themselves, and those with one phrasing an entry. The scales of head and margin differ from
# base to base, so they have no say here. Fitted on the tuning halves of BANKING77 and CLINC150: their names alone, and 75
# random bases of 3 to 20 entries; on the other halves 0.5 is right in 50 %, 0.67 in 67 %, 0.95 in 97 %.
FALLBACK = Calibration(
    answered=Logistic(means=(0.433, 0.0), scales=(0.201, 1.0), weights=(1.745, 0.0), bias=1.973),
    first=Logistic(means=(0.483, 0.0, 0.265), scales=(0.188, 1.0, 0.194), weights=(0.700, 0.0, 2.565), bias=4.049),
)


def calibrate(scorer: Scorer) -> Calibration:
    """Fit the confidence of a knowledge base on its own phrasings. Costs a second or two; the same base gives the same result."""
    rows = np.flatnonzero(scorer.counts[scorer.owners] > 1)
    if len(rows) < _MIN_SAMPLE or scorer.size < 3:
        return FALLBACK
    rows = np.sort(np.random.default_rng(0).permutation(rows)[:_MAX_SAMPLE])
    known = _evidence_left_out(scorer, rows, whole=False)
    unknown = _evidence_left_out(scorer, rows, whole=True)
    both = np.concatenate([_answered_features(known), _answered_features(unknown)])
    outcomes = np.repeat([1.0, 0.0], len(rows))
    answered = fit_logistic(both, outcomes, sample_weights=np.where(outcomes == 1.0, 1.0, _UNANSWERED_WEIGHT))
    first = fit_logistic(_first_features(known), (known.top == scorer.owners[rows]).astype(float))
    return Calibration(answered=answered, first=first, shift=_LEFT_OUT_SHIFT, sample=len(rows))


def _evidence_left_out(scorer: Scorer, rows: NDArray[np.intp], *, whole: bool) -> Evidence:
    batches = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    return _joined([evidence_of(scorer.score_left_out(batch, whole=whole)) for batch in batches])


def _joined(parts: Sequence[Evidence]) -> Evidence:
    return Evidence(
        top=np.concatenate([part.top for part in parts]),
        likeness=np.concatenate([part.likeness for part in parts]),
        head=np.concatenate([part.head for part in parts]),
        margin=np.concatenate([part.margin for part in parts]),
        gap=np.concatenate([part.gap for part in parts]),
    )
