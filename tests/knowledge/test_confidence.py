import json

import numpy as np
import pytest

from chatbot.answering.decisions import decide
from chatbot.knowledge.confidence import (
    CLARIFY_AT,
    COMPOSE_AT,
    DIRECT_AT,
    FALLBACK,
    Calibration,
    Evidence,
    Marks,
    calibrate,
    evidence_of,
    fit_logistic,
    on_scale,
)
from chatbot.knowledge.scoring import Scorer


def evidence(
    *, likeness: float = 0.5, margin: float = 1.0, head: float = 50.0, kernel: float = 0.5, gap: float = 0.1
) -> Evidence:
    values = {"likeness": likeness, "margin": margin, "head": head, "kernel": kernel, "gap": gap}
    return Evidence(top=np.array([0]), **{name: np.array([value]) for name, value in values.items()})


def base(*, entries: int = 20, each: int = 5, noise: float = 0.8) -> Scorer:
    random = np.random.default_rng(3)
    rows = np.repeat(random.normal(size=(entries, 24)), each, axis=0) + noise * random.normal(size=(entries * each, 24))
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    owners = np.repeat(np.arange(entries), each)
    return Scorer([f"t{owner}" for owner in owners], vectors, owners, entries=entries, parts=(24,))


def fitted() -> Calibration:
    return calibrate(base())


@pytest.mark.parametrize("calibration", [FALLBACK, fitted()], ids=["fallback", "fitted"])
@pytest.mark.parametrize("kind", ["likeness", "margin", "head", "kernel", "gap"])
def test_more_evidence_never_lowers_confidence(calibration: Calibration, kind: str) -> None:
    low, high = {"likeness": (-0.2, 1), "margin": (0, 6), "head": (-100, 400), "kernel": (-0.2, 1.2), "gap": (0, 1)}[kind]
    found = [float(calibration.confidence(evidence(**{kind: float(step)}))[0]) for step in np.linspace(low, high, 20)]
    assert all(later >= earlier for earlier, later in zip(found, found[1:], strict=False))
    assert all(0 <= value <= 1 for value in found)


def test_a_base_calibrates_itself_and_tells_known_from_unknown() -> None:
    scorer = base()
    calibration = calibrate(scorer)
    assert calibration.sample == 100
    random = np.random.default_rng(11)
    strange = random.normal(size=(50, 24)).astype(np.float32)
    strange /= np.linalg.norm(strange, axis=1, keepdims=True)
    known = calibration.confidence(evidence_of(scorer.score(scorer.phrasings, scorer.texts)))
    unknown = calibration.confidence(evidence_of(scorer.score(strange, ["x"] * 50)))
    assert np.median(known) > 0.9 > np.median(unknown)
    assert np.quantile(known, 0.25) > np.quantile(unknown, 0.75)


def test_the_same_base_gives_the_same_calibration() -> None:
    assert calibrate(base()) == calibrate(base())


def test_a_small_base_uses_the_fallback() -> None:
    assert calibrate(base(entries=4)) is FALLBACK


def test_a_calibration_survives_storage() -> None:
    calibration = fitted()
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration


def test_fitting_recovers_a_known_relation() -> None:
    random = np.random.default_rng(5)
    features = random.normal(size=(4000, 2))
    chance = 1 / (1 + np.exp(-(1.5 * features[:, 0] + 0.5)))
    model = fit_logistic(features, (random.random(4000) < chance).astype(float))
    assert np.abs(model.probability(features) - chance).mean() < 0.03


def test_a_misleading_feature_gets_no_weight() -> None:
    random = np.random.default_rng(5)
    features = random.normal(size=(1000, 1))
    model = fit_logistic(features, (features[:, 0] < 0).astype(float))
    assert model.weights == (0.0,)
    assert model.probability(features).mean() == pytest.approx(0.5, abs=0.05)


def test_decisions_follow_the_thresholds() -> None:
    assert [decide(value) for value in (1.0, DIRECT_AT, COMPOSE_AT, CLARIFY_AT, 0.0)] == [
        "direct",
        "direct",
        "compose",
        "clarify",
        "handoff",
    ]


def test_the_marks_keep_the_error_budget_on_the_left_out() -> None:
    strict, loose = calibrate(base(noise=1.1), error_budget=0.02), calibrate(base(noise=1.1), error_budget=0.2)
    assert strict.marks.direct > loose.marks.direct
    assert strict.expected is not None and loose.expected is not None
    assert strict.expected.wrong_direct <= 0.02 and loose.expected.wrong_direct <= 0.2
    assert strict.expected.direct <= loose.expected.direct
    assert strict.error_budget == 0.02


def test_a_mark_falls_on_the_scale_of_all_bases() -> None:
    marks = Marks(direct=0.97, compose=0.4, clarify=0.1)
    assert on_scale(np.array([0.97, 0.4, 0.1]), marks=marks).tolist() == pytest.approx([DIRECT_AT, COMPOSE_AT, CLARIFY_AT])
    rising = on_scale(np.linspace(0, 1, 50), marks=marks)
    assert (np.diff(rising) > 0).all() and rising[0] == 0 and rising[-1] == 1


def test_what_is_never_right_is_never_quoted() -> None:
    scorer = base(noise=30.0)
    assert calibrate(scorer).marks.direct > 0.99


def test_the_expected_histogram_is_made_of_shares() -> None:
    expected = fitted().expected
    assert expected is not None
    assert len(expected.histogram) == 10 and sum(expected.histogram) == pytest.approx(1, abs=1e-4)
