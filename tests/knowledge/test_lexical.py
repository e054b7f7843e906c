import numpy as np
import pytest

from chatbot.knowledge.lexical import Bm25, tokens


@pytest.mark.parametrize("word", ["refund", "refunds", "refunded", "refunding", "REFUND", "refund's"])
def test_forms_of_a_word_are_one_token(word: str) -> None:
    assert tokens(word) == ["refund"]


def test_words_of_unspaced_scripts_are_cut_into_one_and_two_characters() -> None:
    assert tokens("退货吗") == ["退", "货", "吗", "退货", "货吗"]


def test_mixed_scripts_are_cut_each_in_its_way() -> None:
    assert tokens("XL号 jacket") == ["xl", "号", "jacket"]


def test_full_width_letters_are_the_plain_ones() -> None:
    assert tokens("ＬＷ４８") == ["lw48"]


@pytest.mark.parametrize("text", ["", "?!…", "😀", "   "])
def test_a_text_without_words_has_no_tokens(text: str) -> None:
    assert tokens(text) == []


def test_one_shared_word_is_enough() -> None:
    scores = Bm25(["return an item", "opening hours"]).scores("the thing I want to return")
    assert scores[0] > 0 and scores[1] == 0


def test_a_rare_word_counts_more_than_a_common_one() -> None:
    scores = Bm25(["order refund", "order status", "order change"]).scores("order refund")
    assert scores.argmax() == 0
    assert np.all(scores > 0)


def test_a_text_that_stands_in_a_document_scores_less_without_itself() -> None:
    index = Bm25(["return an item \n return it", "opening hours"])
    whole = float(index.scores("return it")[0])
    assert 0 < index.score_without(0, "return it") < whole


def test_scoring_without_the_only_text_of_a_document_finds_nothing() -> None:
    assert Bm25(["return it", "opening hours"]).score_without(0, "return it") == 0


def test_no_documents_give_no_scores() -> None:
    assert Bm25([]).scores("anything").shape == (0,)
