"""Measure the two classifiers on texts that they have not learnt from, beside the guess "always the commonest label"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chatbot.assist import classifiers, heads
from chatbot.assist.classifiers import Labelled
from chatbot.assist.heads import HeadError
from chatbot.engine.embedder import Embedder
from chatbot.knowledge.models import Faq
from chatbot.quality.asked import read_asked
from chatbot.quality.models import TestQuestion


@dataclass(frozen=True)
class Score:
    """recalls, precisions: of each label. locales: language -> (texts, accuracy). errors: (wanted, found) -> count."""

    name: str
    texts: int
    accuracy: float
    majority: float
    macro_f1: float
    recalls: dict[str, float]
    precisions: dict[str, float]
    locales: dict[str, tuple[int, float]]
    errors: dict[tuple[str, str], int]


def score(name: str, *, wanted: Sequence[str], found: Sequence[str], locales: Sequence[str], commonest: str) -> Score:
    """commonest: the label that is commonest among the texts learnt from."""
    right = Counter(one for one, other in zip(wanted, found, strict=True) if one == other)
    asked, said = Counter(wanted), Counter(found)
    recalls = {label: right[label] / count for label, count in sorted(asked.items())}
    precisions = {label: right[label] / count for label, count in sorted(said.items())}
    f1 = [2 * right[label] / (asked[label] + said[label]) for label in asked]
    by_locale: dict[str, list[bool]] = {}
    for locale, one, other in zip(locales, wanted, found, strict=True):
        by_locale.setdefault(locale or "?", []).append(one == other)
    return Score(
        name=name,
        texts=len(wanted),
        accuracy=sum(right.values()) / len(wanted),
        majority=asked[commonest] / len(wanted),
        macro_f1=sum(f1) / len(f1),
        recalls=recalls,
        precisions=precisions,
        locales={key: (len(rows), sum(rows) / len(rows)) for key, rows in sorted(by_locale.items(), key=lambda i: -len(i[1]))},
        errors=dict(Counter((one, other) for one, other in zip(wanted, found, strict=True) if one != other).most_common(8)),
    )


def of_sentiment(embedder: Embedder, *, held_out: Path | None = None) -> Score:
    """Learnt from the training file, measured on the held-out one or the company's own. Raises HeadError."""
    learnt = classifiers.read_labelled(classifiers.SENTIMENT_TRAINING)
    test = classifiers.read_labelled(held_out or classifiers.SENTIMENT_HELD_OUT)
    if not test.texts:
        raise HeadError(f"{held_out or classifiers.SENTIMENT_HELD_OUT} holds no texts.")
    head = heads.fit(classifiers.encode(embedder, learnt.texts), learnt.labels, embedder=embedder.name)
    found = head.predict(classifiers.encode(embedder, test.texts))
    commonest = Counter(learnt.labels).most_common(1)[0][0]
    name = "sentiment, own file" if held_out else "sentiment, held-out sentences"
    return score(name, wanted=test.labels, found=found, locales=test.locales, commonest=commonest)


def of_topics(embedder: Embedder, *, questions: Path | None = None) -> list[Score]:
    """Two measures: FAQs that were left out whole (harder than life), and customers' test questions with a known FAQ.

    Raises HeadError, InvalidInput for a file that holds no questions.
    """
    learnt, vectors = classifiers.phrasings_by_topic(embedder)
    if len(set(learnt.labels)) < 2:
        return []
    commonest = Counter(learnt.labels).most_common(1)[0][0]
    ridge = classifiers.TOPIC_RIDGE
    left_out = heads.cross_validated(vectors, learnt.labels, embedder=embedder.name, ridge=ridge, groups=learnt.groups)
    name = "topic, FAQs left out whole"
    scores = [score(name, wanted=learnt.labels, found=left_out, locales=learnt.locales, commonest=commonest)]
    test = _test_questions(questions, known=set(learnt.labels))
    if test.texts:
        head = heads.fit(vectors, learnt.labels, embedder=embedder.name, ridge=ridge)
        found = head.predict(classifiers.encode(embedder, test.texts))
        scores.append(score("topic, test questions", wanted=test.labels, found=found, locales=test.locales, commonest=commonest))
    return scores


def _test_questions(path: Path | None, *, known: set[str]) -> Labelled:
    """Questions whose FAQ has one of the known categories: the installation's own, or a file's. Raises InvalidInput."""
    asked = read_asked(path.read_bytes()) if path else [row.asked() for row in TestQuestion.objects.exclude(expected="")]
    categories = dict(Faq.objects.exclude(category="").values_list("key", "category"))
    rows = [(one.text, categories.get(one.expected or "", ""), one.locale) for one in asked]
    texts, labels, locales = (tuple(row[column] for row in rows if row[1] in known) for column in range(3))
    return Labelled(texts, labels, locales)
