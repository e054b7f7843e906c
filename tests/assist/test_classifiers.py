"""Sentiment and topics: what they learn from, and that they are worth more than guessing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatbot.assist import classifiers, evaluating
from chatbot.assist.heads import HeadError
from chatbot.knowledge.embedding import default_embedder
from tests.knowledge.conftest import WordEmbedder


@pytest.fixture(autouse=True)
def own_folder(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


def test_training_and_held_out_sentences_have_nothing_in_common() -> None:
    train, test = (classifiers.read_labelled(path) for path in (classifiers.SENTIMENT_TRAINING, classifiers.SENTIMENT_HELD_OUT))
    assert (len(train.texts), len(test.texts)) == (267, 120)
    assert not {text.casefold() for text in train.texts} & {text.casefold() for text in test.texts}
    for part in (train, test):
        assert set(part.labels) == set(classifiers.SENTIMENTS) and len(set(part.locales)) >= 11
        assert sum(locale.startswith("zh") for locale in part.locales) >= len(part.texts) // 4


def test_sentiment_of_sentences_it_has_not_seen() -> None:
    found = evaluating.of_sentiment(default_embedder())
    assert found.majority < 0.3 < 0.9 < found.accuracy
    assert found.recalls["angry"] >= 0.85 and found.precisions["angry"] >= 0.9
    assert found.locales["zh-hans"][1] >= 0.85


@pytest.mark.parametrize(
    "line", ["{", '{"text": "hello", "label": "bored"}', '{"text": " ", "label": "angry"}', "[]", '{"label": "angry"}']
)
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"text": "fine", "label": "neutral"}) + "\n" + line + "\n")
    with pytest.raises(HeadError, match="line 2"):
        classifiers.read_labelled(path)


def test_topics_are_the_companys_own(words: WordEmbedder) -> None:
    """Of the small shop three categories have three phrasings or more."""
    learnt, vectors = classifiers.phrasings_by_topic(words)
    assert set(learnt.labels) == {"Orders", "Delivery", "Stores"} and vectors.shape == (len(learnt.texts), 64)
    head = classifiers.train_topics(words)
    assert head is not None and head.predict(words.encode(["opening hours of the store"])) == ["Stores"]
    assert classifiers.load(words).topic is not None
    scores = evaluating.of_topics(words)
    assert [score.name for score in scores] == ["topic, FAQs left out whole"] and scores[0].texts == len(learnt.texts)


def test_what_is_missing_or_of_another_embedder_is_learnt_again(words: WordEmbedder, tmp_path: Path) -> None:
    first = classifiers.load(words)
    assert first.sentiment.embedder == "words/1"
    assert classifiers.load(WordEmbedder("words/2")).sentiment.embedder == "words/2"
    (tmp_path / "classifiers" / "sentiment.safetensors").write_bytes(b"torn")
    assert classifiers.load(words).sentiment.labels == first.sentiment.labels
