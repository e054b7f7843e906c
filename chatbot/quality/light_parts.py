"""The light parts of a release: what customers asked, as reviewed examples label it, teaches the search and the topics too.

A version's training half gives questions with the FAQ that a person let the answer rest on. As further phrasings of that FAQ
they refit the search's head (closed form, docs/decisions/0005) and the classifier of topics. Both are measured as they serve now
and as they would be, on the held-out half and on the test questions, and taken only where nothing is worse. They go live, and
back, with their version (chatbot.knowledge.learned). Nobody labels moods, so the classifier of sentiment has nothing to learn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chatbot.answering.grounding import NO_ANSWER, cited_numbers
from chatbot.assist import classifiers, heads
from chatbot.engine.embedder import Embedder
from chatbot.knowledge import learned
from chatbot.knowledge.access import answering_faqs
from chatbot.knowledge.confidence import DIRECT_AT, evidence_of
from chatbot.knowledge.indexing import serving_embedder
from chatbot.knowledge.learned import New, Rows
from chatbot.knowledge.models import MAX_PHRASING_CHARS, KnowledgeIndex
from chatbot.knowledge.search_index import SearchIndex
from chatbot.learning import datasets
from chatbot.learning.evaluating import MEASURED_SOURCES
from chatbot.learning.models import Dataset
from chatbot.learning.reading import dataset_of
from chatbot.quality.models import TestQuestion
from chatbot.releases.models import ModelVersion
from chatbot.telemetry import log_event
from chatbot.training import manifest
from chatbot.training.failures import TrainingError

# Fewer held-out questions tell nothing; more phrasings of one FAQ would let one topic of complaint drown its own words.
MIN_QUESTIONS = 10
MOST_A_FAQ = 20
MOST_TEST_QUESTIONS = 500


@dataclass(frozen=True)
class Labelled:
    """A question and the key of the FAQ that answers it; empty where nothing does."""

    text: str
    key: str
    locale: str = ""
    origin: str = ""


@dataclass(frozen=True)
class Light:
    """How the light parts do: shares of questions; `quoted`: of those that nothing answers, how many would be quoted to."""

    search: float
    topics: float
    test_questions: float
    quoted: float

    def is_worse_than(self, other: Light) -> bool:
        worse = (self.search < other.search, self.topics < other.topics, self.test_questions < other.test_questions)
        return any(worse) or self.quoted > other.quoted


def refit(version: ModelVersion, *, embedder: Embedder | None = None) -> dict[str, Any]:
    """Fit and measure a version's light parts, keep them if they are taken, and write the figures into its lineage.

    Returns {} for a version whose dataset is not here.
    """
    dataset = dataset_of(version)
    try:
        train, heldout = (list(labelled(dataset, half=half)) if dataset else [] for half in ("train", "heldout"))
    except TrainingError:
        train = heldout = []
    if not dataset or not (train or heldout):
        return {}
    embedder = embedder or serving_embedder(KnowledgeIndex.objects.first())
    phrasings = _phrasings(train)
    figures: dict[str, Any] = {"phrasings": len(phrasings), "questions": len(heldout), "taken": False}
    if phrasings and sum(bool(one.key) for one in heldout) >= MIN_QUESTIONS:
        before, after = (_measured(rows, heldout, embedder) for rows in learned.rows_with(phrasings, embedder=embedder))
        figures |= {"before": asdict(before), "after": asdict(after), "taken": not after.is_worse_than(before)}
    learned.keep(version.pk, phrasings if figures["taken"] else [])
    version.lineage = version.lineage | {"light": figures}
    version.save(update_fields=["lineage"])
    log_event("version.light_parts", version=version.name, phrasings=len(phrasings), taken=int(figures["taken"]))
    return figures


def in_words(figures: Mapping[str, Any]) -> str:
    """What became of the light parts, in one sentence."""
    if "before" not in figures:
        return "search and topics stay as they are: too few held-out questions with a FAQ to measure by"
    names = {"search": "search first right", "topics": "topics right", "test_questions": "test questions found first"}
    told = [f"{name} {100 * figures['before'][key]:.1f} → {100 * figures['after'][key]:.1f} %" for key, name in names.items()]
    verdict = "taken, and live with this version" if figures["taken"] else "not taken: something is worse"
    return f"{figures['phrasings']} customers' phrasings: {', '.join(told)}; {verdict}"


def labelled(dataset: Dataset, *, half: str) -> Iterator[Labelled]:
    """The questions of one half that a person has judged. What leans on an earlier turn would teach the search wrongly.

    Raises TrainingError.
    """
    for line in manifest.read_lines(datasets.folder_of(dataset), method="sft", half=half):
        asked, completion = line["asked"], line["completion"]
        if line["source"] not in MEASURED_SOURCES or asked.get("history"):
            continue
        numbers = [number for number in cited_numbers(completion) if 1 <= number <= len(asked["passages"])]
        if completion == NO_ANSWER or numbers:
            found = asked["passages"][numbers[0] - 1] if numbers and completion != NO_ANSWER else {}
            yield Labelled(asked["question"], found.get("key", ""), found.get("locale", ""), line["id"])


def _phrasings(questions: Sequence[Labelled]) -> list[New]:
    ids = {(key, locale): pk for pk, key, locale in answering_faqs().values_list("pk", "key", "locale")}
    taken: Counter[int] = Counter()
    found = []
    for one in sorted(questions, key=lambda one: one.origin):  # as good as drawn by lot, and the same each time
        faq_id = ids.get((one.key, one.locale))
        if faq_id and len(one.text) <= MAX_PHRASING_CHARS and taken[faq_id] < MOST_A_FAQ:
            taken[faq_id] += 1
            found.append(New(faq_id, one.text, one.origin))
    return found


def _measured(rows: Rows, heldout: Sequence[Labelled], embedder: Embedder) -> Light:
    index = SearchIndex.from_phrasings(rows.keys, rows.texts, rows.vectors, embedder)
    known, unknown = [one for one in heldout if one.key], [one for one in heldout if not one.key]
    expected = TestQuestion.objects.exclude(expected="").order_by("-pk").values_list("text", "expected")
    tests = [Labelled(text, key) for text, key in expected[:MOST_TEST_QUESTIONS]]
    return Light(
        search=_first_right(index, known, embedder),
        topics=_topics_right(rows, known, embedder),
        test_questions=_first_right(index, tests, embedder),
        quoted=_quoted(index, unknown, embedder),
    )


def _first_right(index: SearchIndex, questions: Sequence[Labelled], embedder: Embedder) -> float:
    if not questions:
        return 0.0
    texts = [one.text for one in questions]
    first = index.scorer.score(classifiers.encode(embedder, texts), texts).fused.argmax(axis=1)
    return _share([index.keys[entry] == one.key for entry, one in zip(first, questions, strict=True)])


def _quoted(index: SearchIndex, questions: Sequence[Labelled], embedder: Embedder) -> float:
    if not questions:
        return 0.0
    texts = [one.text for one in questions]
    scores = index.scorer.score(classifiers.encode(embedder, texts), texts)
    return _share([bool(one >= DIRECT_AT) for one in index.calibration.confidence(evidence_of(scores))])


def _topics_right(rows: Rows, questions: Sequence[Labelled], embedder: Embedder) -> float:
    """By the category of the FAQ that answers; a base with fewer than two has no topics to tell apart."""
    places = [place for place, category in enumerate(rows.categories) if category]
    places = places[:: len(places) // classifiers.MAX_PHRASINGS + 1]
    labels = [rows.categories[place] for place in places]
    categories = dict(zip(rows.keys, rows.categories, strict=True))
    asked = [one for one in questions if categories.get(one.key)]
    if len(set(labels)) < 2 or not asked:
        return 0.0
    head = heads.fit(rows.vectors[places], labels, embedder=embedder.name, ridge=classifiers.TOPIC_RIDGE)
    found = head.predict(classifiers.encode(embedder, [one.text for one in asked]))
    return _share([topic == categories[one.key] for topic, one in zip(found, asked, strict=True)])


def _share(values: Sequence[bool]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0
