"""Drafts of the model: proven by their passage, new, and never live by themselves."""

from __future__ import annotations

import pytest

from chatbot import runtime
from chatbot.documents import access, shelf, suggesting
from chatbot.documents.models import Document
from chatbot.engine.fake import ScriptedEngine
from chatbot.engine.requests import EngineStats
from chatbot.errors import Conflict
from chatbot.knowledge import authoring
from chatbot.knowledge.content import FaqText
from chatbot.knowledge.models import Faq
from tests.documents.conftest import Upload
from tests.knowledge.conftest import WordEmbedder

pytestmark = pytest.mark.django_db
FRAMES = "Q: How long are frames of steel covered?\nA: Frames of steel are covered for seven years against breaking.\n"
WRONG = "Q: Is paint of frames covered?\nA: Frames of steel are covered for nine years against breaking paint.\n"
BATTERIES = "**Q:** How long are batteries covered?\n**A:** Batteries are covered for two years.\n"


def _engine(*answers: str, error: str = "") -> ScriptedEngine:
    engine = ScriptedEngine(gap_s=0)
    engine.start()
    for text in answers:
        engine.enqueue([text], gap_s=0, error=error)
    return engine


def _suggest(document: Document, words: WordEmbedder, *answers: str, error: str = "") -> Document:
    shelf.ask_for_suggestions(document.pk)
    suggesting.suggest_faqs(document.pk, engine=_engine(*answers, error=error), embedder=words)
    document.refresh_from_db()
    return document


def test_proven_pairs_become_drafts_that_say_where_they_come_from(upload: Upload, words: WordEmbedder) -> None:
    document = _suggest(upload(), words, FRAMES + "\n" + WRONG, BATTERIES)
    assert (document.suggestion_status, document.suggestion_note) == ("done", "2 new drafts from 2 passages.")
    drafts = [suggestion.faq for suggestion in access.suggestions_of(document)]
    assert [(faq.question, faq.status) for faq in drafts] == [
        ("How long are frames of steel covered?", "draft"),
        ("How long are batteries covered?", "draft"),
    ]
    assert drafts[0].revisions.get().note == "drafted from warranty.md" and drafts[1].key == "how-long-are-batteries-covered"


def test_what_is_asked_already_is_not_drafted_again(upload: Upload, words: WordEmbedder) -> None:
    text = FaqText(question="How long are frames of steel covered?", answer="Seven years.")
    authoring.create_faq("frames", locale="en", text=text, author=None)
    document = _suggest(upload(), words, FRAMES, BATTERIES + "\n" + BATTERIES)
    assert [s.faq.question for s in access.suggestions_of(document)] == ["How long are batteries covered?"]
    for suggestion in access.suggestions_of(document):
        authoring.archive_faq(suggestion.faq_id, author=None)
    _suggest(document, words, FRAMES, BATTERIES)
    assert Faq.objects.count() == 2  # thrown away once, not suggested again


@pytest.mark.parametrize("nonsense", ["", "I cannot help.", "Q: What?\n", "Q: Seven\nA: Frames are covered.", WRONG])
def test_what_is_no_proven_pair_is_dropped(upload: Upload, words: WordEmbedder, nonsense: str) -> None:
    document = _suggest(upload(), words, nonsense, nonsense)
    assert (document.suggestion_status, Faq.objects.count()) == ("done", 0)


def test_what_ends_the_job_early_is_told(upload: Upload, words: WordEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    document = _suggest(upload(), words, FRAMES, error="boom")
    assert document.suggestion_status == "failed"
    assert document.suggestion_note == "The model cannot write this now. Please try again later. 0 new drafts kept."
    busy = EngineStats(waiting=3, running=8, slots=8, tokens_total=0, model_version="m")
    monkeypatch.setattr(ScriptedEngine, "stats", lambda self: busy)
    monkeypatch.setattr(suggesting, "PATIENCE_S", 0.0)
    assert "busy with customers" in _suggest(document, words, FRAMES).suggestion_note
    monkeypatch.setattr(runtime.stopping, "is_set", lambda: True)
    assert "The worker was stopped meanwhile." in _suggest(document, words, FRAMES).suggestion_note


def test_suggestions_are_asked_for_once_and_of_ready_documents(upload: Upload) -> None:
    with pytest.raises(Conflict):
        shelf.ask_for_suggestions(upload(read=False).pk)
    document = upload()
    shelf.ask_for_suggestions(document.pk)
    with pytest.raises(Conflict):
        shelf.ask_for_suggestions(document.pk)
