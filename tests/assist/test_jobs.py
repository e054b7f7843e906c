from __future__ import annotations

import pytest
import redis

from chatbot import runtime
from chatbot.assist import jobs, tasks
from chatbot.assist.faq_checks import Draft
from chatbot.assist.jobs import Job
from chatbot.assist.phrasings import Asked
from chatbot.errors import NotFound, Unavailable
from tests.knowledge.conftest import WordEmbedder


def test_a_job_is_asked_worked_on_and_looked_at() -> None:
    token = jobs.begin({"question": "Why?"}, user_id=1)
    assert jobs.look(token, user_id=1) == Job("waiting")
    assert jobs.asked_of(token) == {"question": "Why?"}
    jobs.report(token, Job("done", [{"text": "x"}]))
    assert jobs.look(token, user_id=1) == Job("done", [{"text": "x"}])
    assert 0 < runtime.valkey().ttl(f"assist:{token}") <= jobs.LIVES_S


@pytest.mark.parametrize("token", ["", "0" * 32, "x"])
def test_another_persons_job_and_no_job_do_not_exist(token: str) -> None:
    for wrong in (token, jobs.begin({}, user_id=1)):
        with pytest.raises(NotFound):
            jobs.look(wrong, user_id=2)
        with pytest.raises(NotFound):
            jobs.cancel(wrong, user_id=2)


def test_what_was_taken_back_stays_so() -> None:
    token = jobs.begin({}, user_id=1)
    jobs.cancel(token, user_id=1)
    jobs.report(token, Job("done", []))
    assert jobs.look(token, user_id=1).state == "cancelled" and jobs.asked_of(token) is None


def test_a_job_that_is_over_is_not_brought_back() -> None:
    token = jobs.begin({}, user_id=1)
    runtime.valkey().flushdb()
    jobs.report(token, Job("done", []))
    assert runtime.valkey().keys("*") == []


def test_without_redis_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*args: object, **kwargs: object) -> None:
        raise redis.ConnectionError

    token = jobs.begin({}, user_id=1)
    monkeypatch.setattr(runtime.valkey(), "hmget", down)
    with pytest.raises(Unavailable):
        jobs.look(token, user_id=1)


def test_no_model_is_said_at_once() -> None:
    with pytest.raises(Unavailable, match="No model is running"):
        tasks.begin_suggestions(Asked("a", "en", "Why?", "So."), user_id=1)


def test_a_check_by_the_worker(words: WordEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_embedder", lambda: words)
    token = tasks.begin_check(Draft("give", "en", "How do I return an item?", "Within 14 days.", ("a", "b")), user_id=1)
    tasks.check_faq(token)
    look = jobs.look(token, user_id=1)
    assert look.state == "done" and look.found[0]["key"] == "returns" and look.found[0]["differences"][0]["kind"] == "quantity"


def test_what_breaks_is_told_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("secret words")

    monkeypatch.setattr(tasks.faq_checks, "check", broken)
    monkeypatch.setattr(tasks, "_embedder", WordEmbedder)
    token = jobs.begin({"key": "", "locale": "en", "question": "Q", "answer": "A", "phrasings": []}, user_id=1)
    tasks.check_faq(token)
    look = jobs.look(token, user_id=1)
    assert (look.state, look.message) == ("failed", "This did not work. Saving is not affected.")
