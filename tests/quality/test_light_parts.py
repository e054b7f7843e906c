"""What customers asked teaches search and topics, when that makes nothing worse; it comes and goes with its version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from chatbot.answering.grounding import NO_ANSWER
from chatbot.knowledge import indexing, learned
from chatbot.knowledge.models import Faq, KnowledgeIndex, Phrasing
from chatbot.learning import datasets
from chatbot.learning.models import Dataset
from chatbot.quality import light_parts
from chatbot.releases import stages, versions
from chatbot.releases.models import ModelVersion
from tests.knowledge.conftest import WordEmbedder

pytestmark = pytest.mark.django_db
THINGS = ("parcels", "saddles", "helmets", "wheels")


@pytest.fixture
def words() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def tuned(tmp_path: Path, settings: Any, words: WordEmbedder, monkeypatch: pytest.MonkeyPatch) -> ModelVersion:
    """A version trained from a dataset, on a base that is live; the knowledge of four things is indexed."""
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(versions, "verify_files", lambda version: tmp_path)
    monkeypatch.setattr(indexing, "default_embedder", lambda: words)
    for thing in THINGS:
        texts = {"question": f"How about {thing}?", "phrasings": [f"{thing} please", f"tell me of {thing}"], "answer": "Yes."}
        Faq.objects.create(key=thing, locale="en", category=thing, status="published", published_at=timezone.now(), **texts)
    indexing.refresh_index(embedder=words)
    base = versions.record_loaded("house-model", folder=None)
    return ModelVersion.objects.create(name="tuned", base=base, folder="adapters/tuned", lineage={"dataset": "march"})


def dataset_of(asked: dict[str, list[tuple[str, str]]]) -> Dataset:
    """half -> (question, key of the FAQ that answers, or nothing)."""
    dataset = Dataset.objects.create(name="march", folder="datasets/march", sha256="0" * 64)
    folder = datasets.folder_of(dataset)
    folder.mkdir(parents=True)
    for half, questions in asked.items():
        lines = [_line(f"{half}-{number}", *one) for number, one in enumerate(questions)]
        (folder / f"sft.{half}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return dataset


def _line(name: str, question: str, key: str) -> dict[str, Any]:
    other = {"key": "wheels", "locale": "en"}
    passages = [other, {"key": key or "parcels", "locale": "en"}]
    asked = {"question": question, "passages": passages, "history": []}
    return {"id": name, "source": "correction", "asked": asked, "completion": "Yes. [2]" if key else NO_ANSWER}


def slang(start: int) -> list[tuple[str, str]]:
    """What customers call the things, a word the FAQs do not have."""
    called = dict(zip(THINGS, ("bundle", "seat", "lid", "hoop"), strict=True))
    return [(f"my {word} number {number}", thing) for number in range(start, start + 4) for thing, word in called.items()]


def texts() -> set[str]:
    return set(Phrasing.objects.values_list("text", flat=True))


def test_better_phrasings_are_taken_and_go_with_their_version(tuned: ModelVersion, words: WordEmbedder) -> None:
    dataset_of({"train": slang(0), "heldout": [*slang(10), ("what of the moon", "")]})
    figures = light_parts.refit(tuned, embedder=words)
    assert figures["taken"] and figures["after"]["search"] == 1.0 > figures["before"]["search"]
    assert figures["after"]["topics"] >= figures["before"]["topics"] and "taken, and live" in light_parts.in_words(figures)
    assert ModelVersion.objects.get(pk=tuned.pk).lineage["light"] == figures
    own = texts()
    assert not learned.turned()
    stages.to_live("tuned", reason="a reason that is long enough")
    assert learned.turned()
    indexing.refresh_index(embedder=words)
    assert len(texts() - own) == 16 and not learned.turned()
    assert KnowledgeIndex.objects.get().learned_of == "tuned"
    assert learned.forget({"train-0"}) == 1 and learned.turned()  # somebody was erased
    indexing.refresh_index(embedder=words)
    assert len(texts() - own) == 15
    stages.roll_back()
    assert learned.turned()
    indexing.refresh_index(embedder=words)
    assert texts() == own and not learned.turned()


def test_worse_ones_and_too_few_are_not(tuned: ModelVersion, words: WordEmbedder) -> None:
    dataset = dataset_of(
        {"train": [(f"kindly {thing} {n} thanks", "wheels") for thing in THINGS for n in range(5)], "heldout": []}
    )
    folder = datasets.folder_of(dataset)
    honest = [_line(f"heldout-{n}", f"kindly {thing} {n} thanks", thing) for n in range(5, 9) for thing in THINGS]
    (folder / "sft.heldout.jsonl").write_text("".join(json.dumps(line) + "\n" for line in honest))
    figures = light_parts.refit(tuned, embedder=words)
    assert not figures["taken"] and figures["after"]["search"] < figures["before"]["search"]
    assert not tuned.learned_phrasings.exists() and "not taken" in light_parts.in_words(figures)
    (folder / "sft.heldout.jsonl").write_text(json.dumps(honest[0]) + "\n")
    assert "too few" in light_parts.in_words(light_parts.refit(tuned, embedder=words))
    assert light_parts.refit(ModelVersion.objects.create(name="from-elsewhere"), embedder=words) == {}
