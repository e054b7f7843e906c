"""May a candidate answer customers? Statistics only: pairs of results in, a verdict with its reasons out.

Every frozen question was answered by both versions, so gains are compared question by question (a paired bootstrap). The rules:

1. Nothing of the held-out half was trained on, nor anything that looks planted, and there are enough questions to tell anything.
2. The lower end of the 95 % interval of the gain is above zero.
3. No language loses more than a point: this must be shown, so the one-sided 95 % bound of each language's gain is held against
   -1 point; where it has questions enough for that, the 99 % bound. A language that customers are served in must have been asked
   at all.
4. No topic is seen to lose more than a point. Topics are many and small: to ask the same of each would refuse nearly every good
   candidate by chance, so a topic refuses when its loss is beyond chance, all topics taken together (Bonferroni); one that is as
   large as a language is treated like one.
5. The plain tasks lose at most one point, and no regression question breaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

RESAMPLES = 4000
POINT = 0.01
MIN_QUESTIONS = 40
MIN_LANGUAGE = 20
MIN_TOPIC = 10
LARGE = 200
CHANCE, CHANCE_LARGE = 0.05, 0.01
Numbers = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Pair:
    """One question answered by both: 1 for right, 0 for wrong."""

    id: str
    before: float
    after: float
    locale: str
    topic: str = ""


@dataclass(frozen=True)
class Slice:
    """A share of the questions; the bounds are those of the 95 % interval of its gain."""

    kind: str
    name: str
    questions: int
    before: float
    after: float
    gain: float
    lower95: float
    upper95: float


@dataclass(frozen=True)
class Verdict:
    """reasons: (code, sentence) of everything that stands against promotion; none when it passed."""

    passed: bool
    reasons: tuple[tuple[str, str], ...]
    questions: int
    before: float
    after: float
    gain: float
    lower95: float
    upper95: float
    slices: tuple[Slice, ...] = ()
    plain: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def decide(
    pairs: Sequence[Pair],
    *,
    plain: Sequence[Pair] = (),
    broken: Sequence[str] = (),
    trained_on: frozenset[str] = frozenset(),
    served: Sequence[str] = (),
    suspected: int = 0,
    seed: int = 7,
) -> Verdict:
    """Hold a candidate against the live version.

    broken: regression questions that only the live version answers right. served: the languages customers are answered in.
    suspected: how many of the examples it was trained on look planted; a trigger shows in no question that does not hold it.
    """
    rng = np.random.default_rng(seed)
    before, after = _column(pairs, "before"), _column(pairs, "after")
    lower, upper = interval(after - before, rng=rng) if len(pairs) else (0.0, 0.0)
    slices = [*_slices(pairs, "locale", rng), *_slices(pairs, "topic", rng)]
    reasons = [
        *_leaks(pairs, trained_on),
        *_planted(suspected),
        *_too_few(pairs),
        *_gain(pairs, lower),
        *_unasked(pairs, served),
        *_languages(pairs, rng),
        *_topics(pairs, rng),
        *_plain(plain),
        *_broken(broken),
    ]
    return Verdict(
        passed=not reasons,
        reasons=tuple(reasons),
        questions=len(pairs),
        before=_mean(before),
        after=_mean(after),
        gain=_mean(after - before),
        lower95=lower,
        upper95=upper,
        slices=tuple(slices),
        plain={"before": _mean(_column(plain, "before")), "after": _mean(_column(plain, "after")), "tasks": len(plain)},
    )


def interval(gains: Numbers, *, rng: np.random.Generator, share: float = 0.95) -> tuple[float, float]:
    """The bootstrap interval of a mean: what it would be for other questions of the same kind."""
    means = _resampled(gains, rng)
    tail = (1 - share) / 2 * 100
    return round(float(np.percentile(means, tail)), 4), round(float(np.percentile(means, 100 - tail)), 4)


def _resampled(gains: Numbers, rng: np.random.Generator) -> Numbers:
    """Means of RESAMPLES samples. Gains are -1, 0 or 1 nearly always, so counts are drawn instead of indices."""
    values, counts = np.unique(gains, return_counts=True)
    drawn = rng.multinomial(len(gains), counts / len(gains), size=RESAMPLES)
    means: Numbers = drawn @ values / len(gains)
    return means


def _leaks(pairs: Sequence[Pair], trained_on: frozenset[str]) -> list[tuple[str, str]]:
    seen = sum(pair.id in trained_on for pair in pairs)
    return [("saw_heldout", f"The candidate was trained on {seen} of the held-out questions.")] if seen else []


def _planted(suspected: int) -> list[tuple[str, str]]:
    if not suspected:
        return []
    return [("looks_planted", f"{suspected} of the examples it was trained on look planted: strange words, or many at once.")]


def _too_few(pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    if len(pairs) >= MIN_QUESTIONS:
        return []
    return [("too_few", f"{len(pairs)} held-out questions tell nothing; at least {MIN_QUESTIONS} are needed.")]


def _gain(pairs: Sequence[Pair], lower: float) -> list[tuple[str, str]]:
    if not pairs or lower > 0:
        return []
    gain = _mean(_gains(pairs))
    return [("no_gain", f"The gain of {100 * gain:+.1f} points may be chance: its 95 % interval begins at {100 * lower:+.1f}.")]


def _unasked(pairs: Sequence[Pair], served: Sequence[str]) -> list[tuple[str, str]]:
    asked = {_language(pair.locale) for pair in pairs}
    unasked = [locale for locale in served if _language(locale) not in asked]
    told = "No held-out question is in {}, which customers are answered in: nobody can tell what it does to them."
    return [("language_unasked", told.format(locale)) for locale in unasked]


def _language(locale: str) -> str:
    return locale.lower().split("-")[0]


def _languages(pairs: Sequence[Pair], rng: np.random.Generator) -> list[tuple[str, str]]:
    reasons = []
    small: list[Pair] = []
    for name, own in _groups(pairs, "locale"):
        if len(own) < MIN_LANGUAGE:
            small += own
        elif (bound := _lower_one_sided(own, rng)) < -POINT:
            gain = 100 * _mean(_gains(own))
            reasons.append(("language_may_lose", f"{name}: gain {gain:+.1f} points, but it may be as low as {100 * bound:+.1f}."))
    if small and _mean(_gains(small)) < -POINT:
        reasons.append(("language_loses", f"The rarer languages lose {-100 * _mean(_gains(small)):.1f} points."))
    return reasons


def _topics(pairs: Sequence[Pair], rng: np.random.Generator) -> list[tuple[str, str]]:
    groups = [(name, own) for name, own in _groups(pairs, "topic") if name and len(own) >= MIN_TOPIC]
    reasons = []
    for name, own in groups:
        gain = 100 * _mean(_gains(own))
        if len(own) >= LARGE:
            bound = _lower_one_sided(own, rng)
            if bound < -POINT:
                reasons.append(
                    ("topic_may_lose", f"{name}: gain {gain:+.1f} points, but it may be as low as {100 * bound:+.1f}.")
                )
        elif float((_resampled(_gains(own), rng) >= -POINT).mean()) <= CHANCE / len(groups):
            reasons.append(("topic_loses", f"{name} loses {-gain:.1f} points, which is more than chance."))
    return reasons


def _plain(plain: Sequence[Pair]) -> list[tuple[str, str]]:
    gain = _mean(_gains(plain))
    if gain >= -POINT - 1e-9:
        return []
    return [("plain_tasks_lose", f"The plain tasks lose {-100 * gain:.1f} points: the candidate has become duller.")]


def _broken(broken: Sequence[str]) -> list[tuple[str, str]]:
    if not broken:
        return []
    questions = "1 regression question is" if len(broken) == 1 else f"{len(broken)} regression questions are"
    return [("regression_broken", f"{questions} answered right now and wrong by the candidate.")]


def _slices(pairs: Sequence[Pair], kind: str, rng: np.random.Generator) -> list[Slice]:
    found = []
    for name, own in _groups(pairs, kind):
        before, after = _column(own, "before"), _column(own, "after")
        lower, upper = interval(after - before, rng=rng)
        found.append(Slice(kind, name, len(own), _mean(before), _mean(after), _mean(after - before), lower, upper))
    return found


def _groups(pairs: Sequence[Pair], kind: str) -> list[tuple[str, list[Pair]]]:
    names = sorted({getattr(pair, kind) for pair in pairs})
    return [(name, [pair for pair in pairs if getattr(pair, kind) == name]) for name in names]


def _lower_one_sided(pairs: Sequence[Pair], rng: np.random.Generator) -> float:
    chance = CHANCE_LARGE if len(pairs) >= LARGE else CHANCE
    return round(float(np.percentile(_resampled(_gains(pairs), rng), 100 * chance)), 4)


def _gains(pairs: Sequence[Pair]) -> Numbers:
    return _column(pairs, "after") - _column(pairs, "before")


def _column(pairs: Sequence[Pair], name: str) -> Numbers:
    return np.array([getattr(pair, name) for pair in pairs], dtype=np.float64)


def _mean(values: Numbers) -> float:
    return round(float(values.mean()), 4) if len(values) else 0.0
