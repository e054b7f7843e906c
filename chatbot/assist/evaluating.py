"""Measure what needs no language model: the two classifiers on texts that they have not learnt from, beside the guess "always the
commonest label"; the threshold of anger; and related FAQs on conversations that came later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import permutations
from pathlib import Path
from uuid import UUID

import numpy as np

from chatbot.assist import classifiers, heads
from chatbot.assist.classifiers import Labelled
from chatbot.assist.heads import HeadError, Matrix
from chatbot.assist.reading import ANGER_AT
from chatbot.conversations.models import Citation, Conversation
from chatbot.engine.embedder import Embedder
from chatbot.insights.related import RELATED, alike, fused, told_together
from chatbot.knowledge.access import answering_faqs
from chatbot.knowledge.models import Faq
from chatbot.quality.asked import read_asked
from chatbot.quality.models import TestQuestion

MAX_PAIRS = 2_000


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


@dataclass(frozen=True)
class Anger:
    """Messages at or above the threshold that call a person, and how many of them are angry. angry: of all texts."""

    name: str
    texts: int
    angry: int
    reached: int
    right: int


def of_anger(embedder: Embedder, *, held_out: Path | None = None) -> list[Anger]:
    """In cross-validation over the training sentences, and on the held-out ones or the company's own. Raises HeadError."""
    learnt = classifiers.read_labelled(classifiers.SENTIMENT_TRAINING)
    test = classifiers.read_labelled(held_out or classifiers.SENTIMENT_HELD_OUT)
    vectors = classifiers.encode(embedder, learnt.texts)
    head = heads.fit(vectors, learnt.labels, embedder=embedder.name)
    crossed = heads.cross_shares(vectors, learnt.labels, of="angry", embedder=embedder.name)
    new = head.probabilities(classifiers.encode(embedder, test.texts))[:, head.labels.index("angry")]
    name = "anger, own file" if held_out else "anger, held-out sentences"
    return [_anger("anger, cross-validation", learnt.labels, crossed), _anger(name, test.labels, new)]


def _anger(name: str, labels: Sequence[str], scores: Matrix) -> Anger:
    angry = np.array([label == "angry" for label in labels])
    reached = scores >= ANGER_AT
    return Anger(name, len(labels), int(angry.sum()), int(reached.sum()), int((angry & reached).sum()))


@dataclass(frozen=True)
class RelatedScore:
    """How often what answered later in a conversation was among the RELATED FAQs shown beside an answer before or after it.

    pairs: of the newest fifth of the conversations; together, content, fused: by what others read, by content, by both as the
    pages show it; commonest: always the most used FAQs.
    """

    pairs: int
    together: float
    content: float
    fused: float
    commonest: float


def of_related(*, most: int = MAX_PAIRS) -> RelatedScore:
    """Learnt from the conversations before. Raises HeadError where too few hold two answers from FAQs."""
    told: dict[UUID, dict[int, None]] = {}
    rows = Citation.objects.filter(faq__isnull=False).order_by("message__conversation__created_at", "message__seq")
    for conversation_id, faq_id in rows.values_list("message__conversation", "faq"):
        told.setdefault(conversation_id, {})[int(faq_id)] = None
    later = list(told)[len(told) * 4 // 5 :]
    pairs = [pair for one in later for pair in permutations(told[one], 2)][:most]
    if not pairs:
        raise HeadError("Too few conversations hold answers from two FAQs.")
    until = Conversation.objects.values_list("created_at", flat=True).get(pk=later[0])
    used = Counter(faq_id for one in list(told)[: len(told) * 4 // 5] for faq_id in told[one])
    hits = Counter(hit for here, there in pairs for hit in _hits(here, there, until=until, used=used))
    return RelatedScore(len(pairs), *(hits[name] / len(pairs) for name in ("together", "content", "fused", "commonest")))


def _hits(here: int, there: int, *, until: datetime, used: Counter[int]) -> list[str]:
    """Which ways of choosing show the one beside the other."""
    language = Faq.objects.values_list("locale", flat=True).get(pk=here)
    others = list(answering_faqs().filter(locale=language).exclude(pk=here).values_list("pk", flat=True))
    together, content = told_together(here, until=until), alike(here, others=others)
    commonest = [faq_id for faq_id, _ in used.most_common() if faq_id != here]
    ways = {"together": together, "content": content, "fused": fused([together, content]), "commonest": commonest}
    return [name for name, shown in ways.items() if there in shown[:RELATED]]


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
