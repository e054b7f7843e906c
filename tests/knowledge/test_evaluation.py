import pytest

from chatbot.knowledge.evaluation import Outcome, RememberingEmbedder, figures_of, read_questions, said_before
from chatbot.knowledge.search_index import Found, Hit
from tests.knowledge.conftest import WordEmbedder


def outcome(expected: str | None, *ranked: str, confidence: float = 0.9, decision: str = "direct") -> Outcome:
    hits = tuple(Hit(key, 1.0) for key in ranked)
    return Outcome("q", expected, Found(hits, confidence, "alone", {}), decision)


def test_figures_by_hand() -> None:
    figures = figures_of(
        [
            outcome("a", "a", "b", confidence=0.9),
            outcome("a", "b", "c", "a", confidence=0.7, decision="compose"),
            outcome("a", "b", "c", "d", "a", confidence=0.5, decision="clarify"),
            outcome("a", "b", confidence=0.3, decision="handoff"),
            outcome(None, "a", confidence=0.6, decision="compose"),
            outcome(None, "a", confidence=0.1, decision="handoff"),
        ]
    )
    assert figures.recall_at_1 == 0.25
    assert figures.recall_at_3 == 0.5
    assert figures.mrr_at_10 == pytest.approx((1 + 1 / 3 + 1 / 4) / 4)
    assert figures.null_auroc == pytest.approx((2 + 2 + 1 + 1) / 8)
    assert figures.refused == 0.5
    assert figures.answered == 0.5
    assert figures.wrong == pytest.approx(2 / 3)


def test_equal_confidence_counts_half() -> None:
    assert figures_of([outcome("a", "a"), outcome(None, "a")]).null_auroc == 0.5


def test_figures_nobody_asked_for_are_absent() -> None:
    figures = figures_of([outcome("a", "a")])
    assert figures.null_auroc is None and figures.refused is None
    assert figures_of([]).recall_at_1 is None


def test_a_line_has_the_promised_fields() -> None:
    assert outcome("a", "a", "b").as_line() == {
        "text": "q",
        "expected": "a",
        "ranked": [{"key": "a", "score": 1.0}, {"key": "b", "score": 1.0}],
        "confidence": 0.9,
        "decision": "direct",
    }


def test_only_the_customers_words_are_context() -> None:
    history = [{"role": "user", "text": "one"}, {"role": "assistant", "text": "two"}, {"role": "user", "text": "three"}]
    assert said_before({"history": history}) == ["one", "three"]
    assert said_before({"history": None}) == said_before({}) == []


@pytest.mark.parametrize("line", ["{", "[]", '{"expected": "a"}', '{"text": 3}', '{"text": "q", "expected": 3}'])
def test_a_bad_question_names_its_line(line: str) -> None:
    with pytest.raises(ValueError, match="line 2"):
        read_questions(f'{{"text": "q", "expected": null}}\n{line}'.encode())


def test_remembered_texts_are_embedded_once(words: WordEmbedder) -> None:
    remembering = RememberingEmbedder(words)
    done: list[int] = []
    remembering.remember(["a b", "c", "a b"], progress=done.append)
    assert sum(done) == 2
    assert (remembering.encode(["c", "a b"]) == words.encode(["c", "a b"])).all()
    assert sorted(words.embedded[:2]) == ["a b", "c"]
