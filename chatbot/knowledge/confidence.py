"""How sure the ranking is, on a scale whose marks mean the same in every knowledge base. Pure numpy.

probability = P(some entry answers it) * P(the first one does, given that some entry does). Both are small logistic models that
a knowledge base fits on its own phrasings: each phrasing is asked once without itself (is its entry still first?) and once
without its whole entry (nothing answers it any more). No question of a customer is needed.

confidence = that probability, stretched so that what this base may quote under its error budget begins at DIRECT_AT, and what it
may answer at all at COMPOSE_AT. Where the marks lie is read off probabilities that each half of the phrasings (by hash of the
text) gets from models fitted on the other half. A base too small to calibrate itself uses fixed models and fixed marks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot.knowledge.matrices import Matrix
from chatbot.knowledge.scoring import Scorer, Scores

# The scale of confidence. A composed answer may draw on the first three entries, which hold the right one far more often than
# the first does, and the model may decline. Below CLARIFY_AT the candidates are rarely worth a customer's time.
DIRECT_AT = 0.90
COMPOSE_AT = 0.65
CLARIFY_AT = 0.20
ERROR_BUDGET = 0.03

# Of three or four questions that reach a service desk, one is answered by nothing in its FAQs.
_UNANSWERED_WEIGHT = 0.3
# Fewer phrasings than this say too little; more than this many cost time and add nothing.
_MIN_SAMPLE = 60
_MAX_SAMPLE = 2000
_MIN_LARGE_SAMPLE = 400
_SAMPLE_ENTRIES = 2_000_000
# A base that misses one of its phrasings is poorer than the base: left-one-out results are this much too low, in log odds.
# Fitted on the tuning halves (slope 1.02, left at 1); afterwards 0.15 to 0.9 mean what they say on all the other halves.
_LEFT_OUT_SHIFT = 1.2
_PENALTY = 1.0
_NEWTON_STEPS = 25
_BATCH = 256
# Of all that is answered, directly or composed, this many times the budget may be wrong before the model and the proof have had
# their say. Chosen on the tuning half of CLINC150.
_COMPOSE_BUDGETS = 3.25
# For the budget itself left-out mistakes are pardoned less than in the probabilities: what is quoted must be right. Chosen on the
# tuning halves of BANKING77 and CLINC150.
_DIRECT_PARDON = 0.7
# A mark rests on at least this many phrasings above it.
_MARK_MIN_SAMPLE = 20
_HISTOGRAM_BINS = 10


@dataclass(frozen=True)
class Evidence:
    """What the ranking of each of M questions looks like; all arrays (M,).

    likeness, head, kernel: of the first entry. margin: its lead in the fused score. gap: its lead in likeness over the likest
    other one.
    """

    top: NDArray[np.intp]
    likeness: Matrix
    head: Matrix
    kernel: Matrix
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
    return Evidence(top=top, likeness=first, head=scores.head[rows, top], kernel=scores.kernel[rows, top], margin=margin, gap=gap)


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
class Marks:
    """The probabilities at which a base begins to quote, to compose and to ask back."""

    direct: float = DIRECT_AT
    compose: float = COMPOSE_AT
    clarify: float = CLARIFY_AT


@dataclass(frozen=True)
class Expected:
    """What the calibration expects of its own marks; shares from 0 to 1.

    direct, answered: of questions that the base answers, the share quoted, and quoted or composed. wrong_direct, wrong_answered:
    of what is quoted or answered, the share whose first entry is wrong. refused: of questions it does not answer. histogram: of
    confidence, in tenths, over both kinds together.
    """

    direct: float
    answered: float
    wrong_direct: float
    wrong_answered: float
    refused: float
    histogram: tuple[float, ...]


@dataclass(frozen=True)
class Calibration:
    """The two models, a correction in log odds, and on how many phrasings they were fitted (0: the fixed fallback)."""

    answered: Logistic
    first: Logistic
    shift: float = 0.0
    sample: int = 0
    marks: Marks = Marks()
    error_budget: float = ERROR_BUDGET
    expected: Expected | None = None

    def probability(self, evidence: Evidence) -> NDArray[np.float64]:
        """The probability that each question's first entry is right; (M,)."""
        chance = self.answered.probability(_answered_features(evidence)) * self.first.probability(_first_features(evidence))
        return np.asarray(chance / (chance + (1 - chance) * np.exp(-self.shift)))

    def confidence(self, evidence: Evidence) -> NDArray[np.float64]:
        """That probability on the scale of DIRECT_AT, COMPOSE_AT and CLARIFY_AT; (M,)."""
        return on_scale(self.probability(evidence), marks=self.marks)

    def in_words(self) -> list[str]:
        """What pages and commands show of it, one sentence a line."""
        if self.expected is None:
            return [
                f"Not calibrated: fewer than {_MIN_SAMPLE} phrasings belong to FAQs that have several. Fixed thresholds are used."
            ]
        e = self.expected
        return [
            f"Calibrated on {self.sample} phrasings for at most {self.error_budget:.1%} wrong among quoted answers.",
            f"Quoted from a probability of {self.marks.direct:.2f}, answered from {self.marks.compose:.2f}.",
            f"Expected of known questions: {e.direct:.0%} quoted ({e.wrong_direct:.1%} wrong), {e.answered:.0%} answered.",
            f"Expected of questions on FAQs that were taken away: {e.refused:.0%} refused.",
        ]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Calibration:
        """Read what to_json wrote. Raises KeyError or TypeError for what an older release wrote: calibrate again then."""
        expected = stored["expected"]
        return cls(
            answered=_logistic_from(stored["answered"]),
            first=_logistic_from(stored["first"]),
            shift=float(stored["shift"]),
            sample=int(stored["sample"]),
            marks=Marks(**stored["marks"]),
            error_budget=float(stored["error_budget"]),
            expected=Expected(**{**expected, "histogram": tuple(expected["histogram"])}) if expected else None,
        )


def on_scale(probability: NDArray[Any], *, marks: Marks) -> NDArray[np.float64]:
    """Stretch probabilities so that the base's marks fall on DIRECT_AT, COMPOSE_AT and CLARIFY_AT; order is kept."""
    here = (0.0, marks.clarify, marks.compose, marks.direct, 1.0)
    return np.asarray(np.interp(probability, here, (0.0, CLARIFY_AT, COMPOSE_AT, DIRECT_AT, 1.0)))


def _logistic_from(stored: Mapping[str, Any]) -> Logistic:
    return Logistic(
        means=tuple(stored["means"]), scales=tuple(stored["scales"]), weights=tuple(stored["weights"]), bias=float(stored["bias"])
    )


def _answered_features(evidence: Evidence) -> NDArray[Any]:
    return np.column_stack([evidence.likeness, evidence.head, evidence.kernel])


def _first_features(evidence: Evidence) -> NDArray[Any]:
    return np.column_stack([evidence.likeness, evidence.margin, evidence.gap, evidence.kernel])


# For bases too small to calibrate themselves, and those with one phrasing an entry. The scales of head and margin differ from
# base to base, so they have no say here. Fitted on the tuning halves of BANKING77 and CLINC150: their names alone, and 75
# random bases of 3 to 20 entries; on the other halves 0.5 is right in 50 %, 0.67 in 67 %, 0.95 in 97 %.
FALLBACK = Calibration(
    answered=Logistic(means=(0.433, 0.0, 0.0), scales=(0.201, 1.0, 1.0), weights=(1.745, 0.0, 0.0), bias=1.973),
    first=Logistic(means=(0.483, 0.0, 0.265, 0.0), scales=(0.188, 1.0, 0.194, 1.0), weights=(0.700, 0.0, 2.565, 0.0), bias=4.049),
)


@dataclass(frozen=True)
class _LeftOutSample:
    """Phrasings asked without themselves (known) and without their entries (unknown). fold: by the texts' hash, 0 or 1."""

    known: Evidence
    unknown: Evidence
    right: NDArray[np.bool_]
    fold: NDArray[np.intp]


def calibrate(scorer: Scorer, *, error_budget: float = ERROR_BUDGET) -> Calibration:
    """Fit models and marks of a knowledge base to its own phrasings. Costs seconds; the same base gives the same result."""
    rows = np.flatnonzero(scorer.counts[scorer.owners] > 1)
    if len(rows) < _MIN_SAMPLE or scorer.size < 3:
        return FALLBACK
    rows = np.sort(np.random.default_rng(0).permutation(rows)[: _sample_size(scorer)])
    known = _evidence_left_out(scorer, rows, whole=False)
    sample = _LeftOutSample(
        known=known,
        unknown=_evidence_left_out(scorer, rows, whole=True),
        right=known.top == scorer.owners[rows],
        fold=np.array([hashlib.sha256(scorer.texts[row].encode()).digest()[0] % 2 for row in rows]),
    )
    known_chance, unknown_chance = _crossed(sample)
    marks = _marks(known_chance, unknown_chance, right=sample.right, error_budget=error_budget)
    expected = _expected(on_scale(known_chance, marks=marks), on_scale(unknown_chance, marks=marks), right=sample.right)
    models = _fit(sample, np.ones(len(rows), dtype=bool))
    return replace(models, sample=len(rows), marks=marks, error_budget=error_budget, expected=expected)


def _sample_size(scorer: Scorer) -> int:
    """Fewer where each costs more: the time is about the same for every large base."""
    return max(min(_MAX_SAMPLE, _SAMPLE_ENTRIES // max(scorer.size, 1)), _MIN_LARGE_SAMPLE)


def _fit(sample: _LeftOutSample, rows: NDArray[np.bool_]) -> Calibration:
    known, unknown = _answered_features(sample.known)[rows], _answered_features(sample.unknown)[rows]
    outcomes = np.repeat([1.0, 0.0], [len(known), len(unknown)])
    weights = np.where(outcomes == 1.0, 1.0, _UNANSWERED_WEIGHT)
    return Calibration(
        answered=fit_logistic(np.concatenate([known, unknown]), outcomes, sample_weights=weights),
        first=fit_logistic(_first_features(sample.known)[rows], sample.right[rows].astype(float)),
        shift=_LEFT_OUT_SHIFT,
    )


def _crossed(sample: _LeftOutSample) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities of the known and the unknown, each half by models of the other half."""
    known, unknown = np.zeros(len(sample.fold)), np.zeros(len(sample.fold))
    for fold in (0, 1):
        own = sample.fold == fold
        models = _fit(sample, ~own if (~own).any() else own)
        known[own] = models.probability(sample.known)[own]
        unknown[own] = models.probability(sample.unknown)[own]
    return known, unknown


def _weighed(right: NDArray[np.bool_], unknown: int, *, pardon: float) -> NDArray[np.float64]:
    """How much each left-out result counts. Mistakes count less: the base itself, which misses nothing, makes fewer of them."""
    mistake = float(np.exp(-pardon))
    return np.concatenate([np.where(right, 1.0, mistake), np.full(unknown, _UNANSWERED_WEIGHT * mistake)])


def _marks(known: NDArray[np.float64], unknown: NDArray[np.float64], *, right: NDArray[np.bool_], error_budget: float) -> Marks:
    correct = np.concatenate([right, np.zeros(len(unknown), dtype=bool)])
    order = np.argsort(-np.concatenate([known, unknown]), kind="stable")
    chances = np.concatenate([known, unknown])[order]

    def lowest(budget: float, *, pardon: float) -> float:
        weights = _weighed(right, len(unknown), pardon=pardon)
        wrong = np.cumsum(np.where(correct, 0.0, weights)[order]) / np.cumsum(weights[order])
        return _lowest(chances, wrong <= budget)

    direct = lowest(error_budget, pardon=_DIRECT_PARDON)
    compose = min(lowest(_COMPOSE_BUDGETS * error_budget, pardon=_LEFT_OUT_SHIFT), direct - 0.01)
    return Marks(direct=direct, compose=compose, clarify=min(CLARIFY_AT, compose / 2))


def _lowest(chances: NDArray[np.float64], allowed: NDArray[np.bool_]) -> float:
    """The lowest chance down to which it is allowed; nearly 1 when too few are above it."""
    places = np.flatnonzero(allowed)
    if not len(places) or places[-1] + 1 < _MARK_MIN_SAMPLE:
        return 0.999
    return float(np.clip(chances[places[-1]], 0.05, 0.999))


def _expected(known: NDArray[np.float64], unknown: NDArray[np.float64], *, right: NDArray[np.bool_]) -> Expected:
    confidences = np.concatenate([known, unknown])
    correct = np.concatenate([right, np.zeros(len(unknown), dtype=bool)])

    def wrong_from(mark: float, *, pardon: float) -> float:
        weights = _weighed(right, len(unknown), pardon=pardon)
        above = confidences >= mark
        return float(weights[above & ~correct].sum() / max(weights[above].sum(), 1e-9))

    counted = np.concatenate([np.ones(len(known)), np.full(len(unknown), _UNANSWERED_WEIGHT)])
    return Expected(
        direct=float(np.mean(known >= DIRECT_AT)),
        answered=float(np.mean(known >= COMPOSE_AT)),
        wrong_direct=wrong_from(DIRECT_AT, pardon=_DIRECT_PARDON),
        wrong_answered=wrong_from(COMPOSE_AT, pardon=_LEFT_OUT_SHIFT),
        refused=float(np.mean(unknown < COMPOSE_AT)),
        histogram=histogram_of(confidences, weights=counted),
    )


def histogram_of(confidences: NDArray[Any], *, weights: NDArray[Any] | None = None) -> tuple[float, ...]:
    """Shares of confidences in tenths from 0 to 1."""
    counts, _ = np.histogram(confidences, bins=_HISTOGRAM_BINS, range=(0.0, 1.0), weights=weights)
    return tuple(round(float(share), 6) for share in counts / max(counts.sum(), 1e-9))


def _evidence_left_out(scorer: Scorer, rows: NDArray[np.intp], *, whole: bool) -> Evidence:
    batches = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    return _joined([evidence_of(scorer.score_left_out(batch, whole=whole)) for batch in batches])


def _joined(parts: Sequence[Evidence]) -> Evidence:
    return Evidence(
        top=np.concatenate([part.top for part in parts]),
        likeness=np.concatenate([part.likeness for part in parts]),
        head=np.concatenate([part.head for part in parts]),
        kernel=np.concatenate([part.kernel for part in parts]),
        margin=np.concatenate([part.margin for part in parts]),
        gap=np.concatenate([part.gap for part in parts]),
    )
