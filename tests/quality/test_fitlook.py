"""A head for the second look is fitted, kept and read: what the layers know counts, not what the model says."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from chatbot import runtime
from chatbot.answering import look_head
from chatbot.answering.second_look import BY_WORD, Told, is_look, looked_confidences, told_of
from chatbot.engine.fake import ScriptedEngine
from chatbot.engine.requests import GenerationHandle, GenerationOutput, GenerationRequest
from chatbot.quality.look_fitting import Looked, figures_of, fit_head
from chatbot.quality.management.commands import fitlook
from tests.knowledge.conftest import SHOP

WIDTH = 24


def made(count: int, *, seed: int = 0, told: float = 1.5) -> list[Looked]:
    """Questions of three entries. One direction of their states tells, under noise, what answers; nothing does to every third."""
    rng = np.random.default_rng(seed)
    questions = []
    for number in range(count):
        right = None if number % 3 == 0 else int(rng.integers(3))
        states = rng.normal(size=(3, WIDTH)).astype(np.float32) * 3
        states[:, 5] = [told * (1 if place == right else -1) + rng.normal() * 0.7 for place in range(3)]
        questions.append(Looked(f"q{seed}-{number}", states, (0.5, 0.5, 0.5), (3.0, 2.5, 2.0), 0.5, (False,) * 3, right))
    return questions


def test_a_head_tells_what_it_was_taught_and_not_more() -> None:
    learnt = made(300)
    head, crossed = fit_head(learnt, layer=7)
    figures = figures_of(learnt, crossed)
    assert figures["head: entries, AUROC"] > 0.9 and figures["word: entries, AUROC"] == 0.5  # type: ignore[operator]
    right = {True: 0, False: 0}
    for one in made(90, seed=1):
        told = Told(tuple(head.likelihood(tuple(state.tolist())) for state in one.states), head.join)
        found = looked_confidences(told, scores=one.scores, confidence=one.confidence)
        chosen = int(np.argmax(found)) if max(found) >= 0.65 else None
        right[one.right is not None] += chosen == one.right
    assert right[True] > 45 and right[False] > 24, "of 60 and 30"
    noise = made(300, told=0.0)
    figures = figures_of(noise, fit_head(noise, layer=7)[1])
    assert abs((figures["head: entries, AUROC"] or 0) - 0.5) < 0.1
    with pytest.raises(ValueError):
        fit_head([replace(one, right=None) for one in learnt], layer=7)


def test_a_head_is_kept_and_found_by_the_weights_name(tmp_path: Path) -> None:
    head, _ = fit_head(made(60), layer=7)
    look_head.save(head, look_head.path_of("/models/House-7B", folder=tmp_path))
    found = look_head.head_for("house-7b", folder=tmp_path)
    assert found is not None and (found.layer, found.join) == (7, head.join)
    np.testing.assert_array_equal(found.weights, head.weights)
    assert found.likelihood((0.0,) * (WIDTH + 1)) is None, "the state of other weights"
    assert look_head.head_for("other", folder=tmp_path) is None


def test_the_word_counts_where_no_state_is_told() -> None:
    head, _ = fit_head(made(60), layer=7)
    word, state = GenerationOutput("Yes", "stop", logprobs=(-0.1,)), (0.5,) * WIDTH
    assert told_of([word], head=head, most=2).join is BY_WORD
    assert told_of([replace(word, hidden=state[:3])], head=head, most=1).join is BY_WORD
    told = told_of([replace(word, hidden=state)], head=head, most=2)
    assert told.join is head.join and told.likelihoods == (head.likelihood(state), None)
    assert told_of([replace(word, hidden=state)], head=None, most=1).join is BY_WORD


def test_the_shipped_head_fits_the_default_model() -> None:
    head = look_head.head_for("qwen2.5-coder-1.5b-instruct")
    assert head is not None and head.weights.shape == (1536,) and head.layer < 28 and np.isfinite(head.weights).all()
    assert min(head.join.which_told, head.join.whether_told, head.join.whether_search) > 0, "more evidence never lowers it"


class Reader(ScriptedEngine):
    """Its layers know whether the passage speaks of what is asked; its word is always the same."""

    def submit(self, request: GenerationRequest) -> GenerationHandle:
        assert is_look(request) and request.version == self.versions[0]
        passage, asked = request.messages[-1].content.split("\n\n", 1)
        shared = set(passage.lower().split()) & set(asked.lower().split())
        handle = GenerationHandle(request)
        state = tuple(np.random.default_rng(len(passage + asked)).normal(size=WIDTH).tolist())
        hidden = (float(len(shared)), *state) if request.hidden_layer == 3 else ()
        handle.finish(GenerationOutput("No", "stop", logprobs=(-0.3,), hidden=hidden))
        return handle


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    engine = Reader()
    engine.start()
    monkeypatch.setattr(runtime, "_engine", engine)
    monkeypatch.setattr(fitlook, "MIN_QUESTIONS", 2)
    faqs, questions = tmp_path / "faqs.jsonl", tmp_path / "questions.jsonl"
    faqs.write_text("\n".join(json.dumps(faq) for faq in SHOP))
    asked = [("can i send it back", "returns"), ("till when can i come by", "hours"), ("do you sell boats", None)]
    questions.write_text("\n".join(json.dumps({"text": text, "expected": key}) for text, key in asked))
    return [str(faqs), str(questions)]


def fitted(*arguments: Any, **options: Any) -> str:
    out = io.StringIO()
    call_command("fitlook", *arguments, stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


def test_the_command_fits_what_the_workers_will_read(files: list[str], settings: Any, tmp_path: Path) -> None:
    settings.LOOK_HEADS_DIR = tmp_path / "heads"
    told = json.loads(fitted(*files, "--layer", "3", "--json"))
    assert told["layer"] == 3 and told["phrasings"] > 0 and told["questions"] >= 2
    name = runtime.engine().versions[0]
    head = look_head.head_for(name, folder=settings.LOOK_HEADS_DIR)
    assert Path(told["out"]).is_file() and head is not None and len(head.weights) == WIDTH + 1
    assert "Restart the generation workers" in fitted(*files, "--layer", "3", "--out", str(tmp_path / "mine.safetensors"))


def test_what_cannot_be_fitted_is_told(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="does not tell what layer 2 holds"):
        fitted(*files, "--layer", "2")
    monkeypatch.setattr(fitlook, "MIN_QUESTIONS", 9)
    with pytest.raises(CommandError, match="unsure of . of the questions; 9 are needed"):
        fitted(*files, "--layer", "3")


def test_a_damaged_head_is_passed_over_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("qwen2.5-coder-1.5b-instruct", "house-7b"):
        look_head.path_of(name, folder=tmp_path).write_bytes(b"no head at all")
    shipped = look_head.head_for("qwen2.5-coder-1.5b-instruct", folder=tmp_path)
    assert shipped is not None, "the shipped one answers on"
    assert look_head.head_for("house-7b", folder=tmp_path) is None
    assert caplog.text.count("fit it again with manage.py fitlook") == 2
    broken = replace(shipped, weights=np.full(1536, np.nan, dtype=np.float32))
    look_head.save(broken, look_head.path_of("nan", folder=tmp_path))
    assert look_head.head_for("nan", folder=tmp_path) is None
    assert not list(tmp_path.glob(".*")), "no draft is left"


def test_questions_that_nothing_answers_are_not_enough() -> None:
    with pytest.raises(ValueError, match="Of no question that was asked"):
        fit_head([*(replace(one, right=None) for one in made(20)), *(replace(one, for_join=False) for one in made(20))], layer=7)
