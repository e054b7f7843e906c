"""The closed forms are held against the plain way: building the scorer without what was left out."""

import numpy as np
import pytest

from chatbot.knowledge.scoring import SHRINKAGE, Scorer

ENTRIES, EACH, WIDTH = 6, 5, 12


def made(*, drop_row: int | None = None) -> tuple[list[str], np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    centres = random.normal(size=(ENTRIES, WIDTH))
    rows = np.repeat(centres, EACH, axis=0) + 0.4 * random.normal(size=(ENTRIES * EACH, WIDTH))
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    owners = np.repeat(np.arange(ENTRIES), EACH)
    texts = [f"topic{owner} way{row}" for row, owner in enumerate(owners)]
    kept = [row for row in range(len(texts)) if row != drop_row]
    return [texts[row] for row in kept], vectors[kept], owners[kept]


def scorer() -> Scorer:
    texts, vectors, owners = made()
    return Scorer(texts, vectors, owners, entries=ENTRIES, parts=(WIDTH,))


def test_each_phrasing_finds_its_own_entry() -> None:
    texts, vectors, owners = made()
    assert (scorer().score(vectors, texts).fused.argmax(axis=1) == owners).all()


def test_the_order_of_rows_does_not_matter() -> None:
    texts, vectors, owners = made()
    order = np.random.default_rng(1).permutation(len(texts))
    shuffled = Scorer([texts[row] for row in order], vectors[order], owners[order], entries=ENTRIES, parts=(WIDTH,))
    assert np.allclose(shuffled.score(vectors, texts).fused, scorer().score(vectors, texts).fused, atol=1e-4)


def test_leaving_one_out_equals_not_seeing_it_in_likeness() -> None:
    whole = scorer()
    left_out = whole.score_left_out(np.array([7]), whole=False)
    own = whole.phrasings[7]
    mates = [row for row in range(EACH, 2 * EACH) if row != 7]
    mean = whole.phrasings[mates].sum(axis=0)
    expected = (max(float(own @ whole.phrasings[row]) for row in mates) + float(own @ mean / np.linalg.norm(mean))) / 2
    assert left_out.likeness[0, 1] == pytest.approx(expected, abs=1e-5)


def head_by_hand(whole: Scorer, question: np.ndarray, rows: list[int]) -> np.ndarray:
    """The head from the definition, with these phrasings only, in the covariance's first scale."""
    owners = whole.owners[rows]
    phrasings = whole.phrasings[rows].astype(np.float64)
    means = np.stack([phrasings[owners == entry].mean(axis=0) for entry in np.unique(owners)])
    deviations = phrasings - means[np.searchsorted(np.unique(owners), owners)]
    everything = whole.phrasings - np.stack([whole.phrasings[whole.owners == e].mean(axis=0) for e in whole.owners])
    level = np.trace(everything.T @ everything / len(everything)) / WIDTH
    covariance = (1 - SHRINKAGE) * deviations.T @ deviations / len(whole.phrasings) + SHRINKAGE * level * np.eye(WIDTH)
    weights = means @ np.linalg.inv(covariance)
    return weights @ question - 0.5 * np.einsum("fd,fd->f", weights, means)


def test_the_head_without_one_phrasing_equals_the_head_fitted_without_it() -> None:
    whole = scorer()
    found = whole.score_left_out(np.array([7]), whole=False).head[0]
    expected = head_by_hand(whole, whole.phrasings[7], [row for row in range(ENTRIES * EACH) if row != 7])
    assert np.allclose(found, expected, rtol=2e-3, atol=2e-3)


def test_the_head_without_an_entry_equals_the_head_fitted_without_it() -> None:
    whole = scorer()
    found = whole.score_left_out(np.array([7]), whole=True).head[0]
    expected = head_by_hand(whole, whole.phrasings[7], [row for row in range(ENTRIES * EACH) if row // EACH != 1])
    assert found.shape == (ENTRIES - 1,)
    assert np.allclose(found, expected, rtol=2e-3, atol=2e-3)


def test_few_phrasings_go_without_a_head() -> None:
    texts, vectors, owners = made()
    rows = np.arange(0, ENTRIES * EACH, EACH)
    small = Scorer([texts[row] for row in rows], vectors[rows], owners[rows], entries=ENTRIES, parts=(WIDTH,))
    assert not small.has_head
    assert (small.score(vectors[rows], [texts[row] for row in rows]).fused.argmax(axis=1) == np.arange(ENTRIES)).all()


def test_a_single_entry_is_ranked_without_warnings() -> None:
    texts, vectors, _ = made()
    one = Scorer(texts[:1], vectors[:1], np.array([0]), entries=1, parts=(WIDTH,))
    assert np.isfinite(one.score(vectors[:1], texts[:1]).fused).all()


def test_parts_keep_equal_weight_after_centring() -> None:
    texts, vectors, owners = made()
    two = Scorer(texts, vectors, owners, entries=ENTRIES, parts=(4, 8))
    assert np.allclose(np.linalg.norm(two.phrasings[:, :4], axis=1), np.sqrt(0.5), atol=1e-4)
    assert np.allclose(np.linalg.norm(two.phrasings, axis=1), 1, atol=1e-4)
