"""The closed forms are held against the plain way: building the scorer without what was left out."""

import numpy as np
import pytest

from chatbot.knowledge.scoring import SHRINKAGE, Carried, Scorer

ENTRIES, EACH, WIDTH = 14, 5, 12


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
    rows = np.arange(0, ENTRIES * EACH, EACH)
    two = Scorer([texts[row] for row in rows], vectors[rows], np.arange(ENTRIES), entries=ENTRIES, parts=(4, 8))
    assert np.allclose(np.linalg.norm(two.phrasings[:, :4], axis=1), np.sqrt(0.5), atol=1e-4)
    assert np.allclose(np.linalg.norm(two.phrasings, axis=1), 1, atol=1e-4)


def test_the_kernel_without_a_phrasing_or_an_entry_equals_the_kernel_fitted_without_it() -> None:
    whole = scorer()
    row, entry = 7, 1
    for gone, left_whole in (([row], False), (list(range(EACH, 2 * EACH)), True)):
        kept = [number for number in range(ENTRIES * EACH) if number not in gone]
        likeness = whole.phrasings.astype(np.float64) @ whole.phrasings.T
        kernel = np.exp(2.0 * (likeness - 1))
        targets = np.eye(ENTRIES)[whole.owners] - 1 / ENTRIES
        weights = np.linalg.solve(kernel[np.ix_(kept, kept)] + 0.1 * np.eye(len(kept)), targets[kept])
        expected = kernel[row, kept] @ weights
        found = whole.score_left_out(np.array([row]), whole=left_whole).kernel[0]
        assert np.allclose(found, np.delete(expected, entry) if left_whole else expected, atol=2e-3)


def grown(*, exact_up_to: int = 20_000) -> tuple[Scorer, Scorer, np.ndarray, list[str]]:
    """A scorer carried on from one that lacks row 7, and one built anew from all rows."""
    texts, vectors, owners = made()
    before = Scorer(*made(drop_row=7), entries=ENTRIES, parts=(WIDTH,), exact_up_to=exact_up_to)
    rows = np.array([row if row < 7 else row - 1 for row in range(len(texts))])
    rows[7] = -1
    entries = np.arange(ENTRIES)
    entries[7 // EACH] = -1
    carried = Carried(scorer=before, rows=rows, entries=entries)
    after = Scorer(texts, vectors[[7]], owners, entries=ENTRIES, parts=(WIDTH,), carried=carried, exact_up_to=exact_up_to)
    anew = Scorer(texts, vectors, owners, entries=ENTRIES, parts=(WIDTH,), exact_up_to=exact_up_to)
    return after, anew, vectors, texts


@pytest.mark.parametrize("exact_up_to", [20_000, 10])
def test_a_carried_scorer_finds_the_new_phrasing_and_keeps_the_old_ones(exact_up_to: int) -> None:
    after, anew, vectors, texts = grown(exact_up_to=exact_up_to)
    assert after.changes == 1 and anew.changes == 0
    found, expected = after.score(vectors, texts), anew.score(vectors, texts)
    assert (found.fused.argmax(axis=1) == expected.fused.argmax(axis=1)).all()
    assert np.corrcoef(found.likeness.ravel(), expected.likeness.ravel())[0, 1] > 0.99
    assert np.allclose(found.lexical, expected.lexical, atol=1e-4)


def test_the_coarse_search_gives_the_exact_scores_to_what_comes_first() -> None:
    texts, vectors, owners = made()
    exact = scorer().score(vectors, texts)
    coarse = Scorer(texts, vectors, owners, entries=ENTRIES, parts=(WIDTH,), exact_up_to=10).score(vectors, texts)
    assert np.allclose(coarse.likeness, exact.likeness, atol=5e-3)
    assert (coarse.fused.argmax(axis=1) == exact.fused.argmax(axis=1)).all()
