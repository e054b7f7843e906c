"""Sentiment and topic of what customers write: where the two heads learn from, and where they are kept.

Sentiment is learnt from data/sentiment_train.jsonl (267 sentences written for this product, 13 locales). Topics are the
company's own: the categories of its published FAQs, learnt from their phrasings, whose vectors the index holds already.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings

from chatbot.assist import heads
from chatbot.assist.heads import Head, HeadError, Matrix
from chatbot.engine.embedder import Embedder
from chatbot.knowledge.models import FaqStatus, Phrasing
from chatbot.telemetry import log_event

DATA = Path(__file__).parent / "data"
SENTIMENT_TRAINING, SENTIMENT_HELD_OUT = DATA / "sentiment_train.jsonl", DATA / "sentiment_test.jsonl"
SENTIMENTS = ("angry", "unhappy", "neutral", "pleased")
MIN_PHRASINGS_A_TOPIC = 3
# Fitting grows with the rows; a sample of so many, spread over the base, tells as much.
MAX_PHRASINGS = 6_000
# The best of cross-validation that leaves whole FAQs of the demo shop out (docs/assist.md).
TOPIC_RIDGE = 3e-4
_BATCH = 64
_training = threading.Lock()


@dataclass(frozen=True)
class Labelled:
    """Texts with their labels. groups: texts of one group (a FAQ) are never parted between training and test."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    locales: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Classifiers:
    """topic is None while there are too few categories or phrasings."""

    sentiment: Head
    topic: Head | None


def folder() -> Path:
    return Path(settings.DATA_DIR) / "classifiers"


def read_labelled(path: Path, *, known: Sequence[str] = SENTIMENTS) -> Labelled:
    """Read {"text", "label", "locale"} lines. Raises HeadError at the first bad one."""
    texts, labels, locales = [], [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row: dict[str, Any] = json.loads(line)
            text, label = str(row["text"]).strip(), str(row["label"])
        except (ValueError, KeyError, TypeError) as error:
            raise HeadError(f'{path}, line {number} is not {{"text", "label", "locale"}}') from error
        if not text or label not in known:
            raise HeadError(f"{path}, line {number} needs a text and a label out of {', '.join(known)}")
        texts.append(text)
        labels.append(label)
        locales.append(str(row.get("locale", "")))
    return Labelled(tuple(texts), tuple(labels), tuple(locales))


def encode(embedder: Embedder, texts: Sequence[str]) -> Matrix:
    """In batches, so that a question's turn at the embedder comes between them."""
    batches = [embedder.encode(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)]
    return np.concatenate(batches) if batches else np.zeros((0, embedder.dimensions), dtype=np.float32)


def phrasings_by_topic(embedder: Embedder) -> tuple[Labelled, Matrix]:
    """The published phrasings of every category that has enough of them, with their vectors."""
    rows = list(
        Phrasing.objects.filter(embedder=embedder.name, faq__status=FaqStatus.PUBLISHED)
        .exclude(faq__category="")
        .order_by("pk")
        .values_list("text", "faq__category", "faq__locale", "faq__key", "vector")
    )
    rows = rows[:: len(rows) // MAX_PHRASINGS + 1]
    enough = {name for name, count in Counter(row[1] for row in rows).items() if count >= MIN_PHRASINGS_A_TOPIC}
    rows = [row for row in rows if row[1] in enough]
    texts, labels, locales, groups = (tuple(str(row[column]) for row in rows) for column in range(4))
    vectors = np.array([row[4] for row in rows], dtype=np.float32).reshape(len(rows), embedder.dimensions)
    return Labelled(texts, labels, locales, groups), vectors


def train(embedder: Embedder) -> Classifiers:
    """Learn both heads anew and keep them."""
    data = read_labelled(SENTIMENT_TRAINING)
    sentiment = heads.fit(encode(embedder, data.texts), data.labels, embedder=embedder.name)
    heads.save(sentiment, folder() / "sentiment.safetensors")
    return Classifiers(sentiment, train_topics(embedder))


def train_topics(embedder: Embedder) -> Head | None:
    """Learn the company's categories anew; None where there are fewer than two with enough phrasings."""
    topics, vectors = phrasings_by_topic(embedder)
    found = None
    if len(set(topics.labels)) >= 2:
        found = heads.fit(vectors, topics.labels, embedder=embedder.name, ridge=TOPIC_RIDGE)
        heads.save(found, folder() / "topic.safetensors")
    else:
        (folder() / "topic.safetensors").unlink(missing_ok=True)
    log_event("classifiers.trained", topics=len(set(topics.labels)), phrasings=len(topics.labels))
    return found


def load(embedder: Embedder) -> Classifiers:
    """The kept heads; those that are missing, broken or of another embedder are learnt first."""
    with _training:
        sentiment = _kept("sentiment", embedder)
        return Classifiers(sentiment, _kept("topic", embedder)) if sentiment else train(embedder)


def _kept(name: str, embedder: Embedder) -> Head | None:
    try:
        return heads.load(folder() / f"{name}.safetensors", embedder=embedder.name)
    except HeadError:
        return None
