"""What one refresh leaves to tasks of its own."""

import json

import pytest
from django.db import connection

from chatbot.alone import Duty, alone
from chatbot.knowledge import indexing, tasks
from chatbot.knowledge.importing import import_faqs
from chatbot.knowledge.models import KnowledgeIndex
from tests.knowledge.conftest import SHOP, WordEmbedder

pytestmark = pytest.mark.django_db


@pytest.fixture
def enqueued(db: None, words: WordEmbedder, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A shop that is not indexed yet; the names of what is enqueued."""
    names: list[str] = []
    monkeypatch.setattr(tasks, "send", lambda task, **where: names.append(task.name))
    monkeypatch.setattr(tasks, "default_embedder", lambda: words)
    monkeypatch.setattr(indexing, "default_embedder", lambda: words)
    import_faqs("\n".join(json.dumps(faq) for faq in SHOP).encode(), format="jsonl", author=None, enqueue=False)
    return names


def test_a_refresh_leaves_the_calibration_for_later_and_asks_once(enqueued: list[str]) -> None:
    tasks.refresh_index()
    assert enqueued == ["knowledge.calibrate_index"]
    assert not KnowledgeIndex.objects.get().fingerprint
    tasks.calibrate_index()
    tasks.refresh_index()
    assert enqueued == ["knowledge.calibrate_index"]


def test_one_calibration_at_a_time_and_again_where_knowledge_went_on(
    enqueued: list[str], words: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks.refresh_index()
    enqueued.clear()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [int(Duty.CALIBRATING)])
    tasks.calibrate_index()
    assert not KnowledgeIndex.objects.get().fingerprint and enqueued == []
    other.connection.close()  # As when a worker is killed at it.
    other.close()
    with connection.cursor() as cursor:  # Waits until the server has noticed.
        cursor.execute("SELECT pg_advisory_lock(%s), pg_advisory_unlock(%s)", [int(Duty.CALIBRATING), int(Duty.CALIBRATING)])
    monkeypatch.setattr(indexing, "is_calibrated", lambda *, embedder: False)
    tasks.calibrate_index()
    assert KnowledgeIndex.objects.get().fingerprint and enqueued == ["knowledge.calibrate_index"]
    with alone(Duty.CALIBRATING) as mine:
        assert mine


def test_another_embedder_is_changed_to_in_a_task_of_its_own(
    enqueued: list[str], words: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks.refresh_index()
    tasks.calibrate_index()
    enqueued.clear()
    new = WordEmbedder("words/2")
    monkeypatch.setattr(tasks, "default_embedder", lambda: new)
    monkeypatch.setattr(indexing, "serving_embedder", lambda state: words)
    tasks.refresh_index()
    assert enqueued == ["knowledge.change_embedder"]
    assert KnowledgeIndex.objects.get().embedder == "words/1"
    monkeypatch.setattr(indexing, "default_embedder", lambda: new)
    tasks.change_embedder()
    assert KnowledgeIndex.objects.get().embedder == "words/2"
