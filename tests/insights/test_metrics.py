"""The numbers behind /metrics."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from chatbot.conversations.models import Conversation, Customer, Generation, Message
from chatbot.insights.metrics import InstallationCollector, read_numbers
from chatbot.runtime import WorkerState

pytestmark = pytest.mark.django_db


def _exchange(customer: Customer, *, status: str = "done", age: timedelta = timedelta(), **fields: Any) -> Generation:
    """One question with its reply, `age` ago."""
    conversation = Conversation.objects.create(customer=customer, last_seq=2)
    asked = Message.objects.create(conversation=conversation, seq=1, role="customer", text="When?")
    reply = Message.objects.create(conversation=conversation, seq=2, role="assistant", text="Now.", in_reply_to=asked)
    then = timezone.now() - age
    if status in ("done", "failed", "stopped"):
        fields = {"finished_at": then, "started_at": then} | fields
    if status == "running":
        fields = {"lease_until": then} | fields
    generation = Generation.objects.create(conversation=conversation, reply=reply, status=status, **fields)
    Generation.objects.filter(pk=generation.pk).update(created_at=then)
    Message.objects.filter(conversation=conversation).update(created_at=then)
    Conversation.objects.filter(pk=conversation.pk).update(updated_at=then)
    return generation


def test_an_empty_house_counts_zero() -> None:
    numbers = read_numbers()
    assert (numbers.pending, numbers.running, numbers.oldest_pending_s, numbers.waiting_for_person) == (0, 0, 0.0, 0)
    assert numbers.outcomes == [] and numbers.messages == {} and numbers.first_text.count == 0


def test_the_queue_and_its_oldest(alice: Customer) -> None:
    _exchange(alice, status="pending", age=timedelta(seconds=90))
    _exchange(alice, status="pending")
    _exchange(alice, status="running")
    numbers = read_numbers()
    assert (numbers.pending, numbers.running) == (2, 1)
    assert 90 <= numbers.oldest_pending_s < 120


def test_outcomes_and_messages_of_the_last_hour_only(alice: Customer) -> None:
    _exchange(alice, decision="direct", finish_reason="stop", prompt_tokens=7, completion_tokens=3)
    _exchange(alice, decision="direct", finish_reason="stop", prompt_tokens=5, completion_tokens=1)
    _exchange(alice, status="failed", finish_reason="error")
    _exchange(alice, decision="handoff", finish_reason="stop", age=timedelta(hours=2))
    numbers = read_numbers()
    assert [(o.decision, o.finish_reason, o.replies, o.prompt_tokens, o.completion_tokens) for o in numbers.outcomes] == [
        ("", "error", 1, 0, 0),
        ("direct", "stop", 2, 12, 4),
    ]
    assert numbers.messages == {"customer": 3, "assistant": 3}


def test_first_text_counts_the_wait_for_a_worker(alice: Customer) -> None:
    generation = _exchange(alice, ttft_ms=200.0)
    Generation.objects.filter(pk=generation.pk).update(created_at=generation.started_at - timedelta(seconds=3))
    _exchange(alice, ttft_ms=40.0)
    _exchange(alice, ttft_ms=None)
    first_text = read_numbers().first_text
    counts = dict(first_text.buckets)
    assert first_text.count == 2 and first_text.sum_s == pytest.approx(3.24, abs=0.01)
    assert (counts[0.05], counts[2.0], counts[4.0], counts[64.0]) == (1, 1, 2, 2)


def test_the_query_count_does_not_grow(alice: Customer) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            read_numbers()
        return len(caught)

    few = queries()
    for _ in range(10):
        _exchange(alice, decision="direct", finish_reason="stop", ttft_ms=10.0)
    assert (few, queries()) == (7, 7)


def test_prometheus_can_read_it(alice: Customer) -> None:
    _exchange(alice, decision="direct", finish_reason="stop", ttft_ms=300.0, prompt_tokens=7)
    worker = WorkerState(
        "host:1",
        "small-model",
        slots=8,
        running=1,
        waiting=0,
        tokens_total=5,
        beat_at_ms=time.time_ns() // 1_000_000,
        cache_slots=16,
        free_cache_slots=9,
        steps_total=70,
        steps_per_s=3.5,
        rows_per_step=6.25,
    )
    registry = CollectorRegistry()
    registry.register(InstallationCollector(numbers=read_numbers(), workers=[worker]))
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }
    assert samples["answerdesk_replies_last_hour", "direct", "stop"] == 1
    assert samples["answerdesk_tokens_last_hour", "prompt"] == 7
    assert samples["answerdesk_time_to_first_text_seconds_bucket", "0.5"] == 1
    assert samples["answerdesk_time_to_first_text_seconds_bucket", "0.25"] == 0
    of_worker = {name: value for (name, *labels), value in samples.items() if labels == ["host:1", "small-model"]}
    assert {name.removeprefix("answerdesk_worker_"): value for name, value in of_worker.items() if "beat" not in name} == {
        "slots": 8,
        "running": 1,
        "waiting": 0,
        "cache_slots": 16,
        "free_cache_slots": 9,
        "steps_per_second": 3.5,
        "rows_per_step": 6.25,
        "tokens_total": 5,
        "steps_total": 70,
    }
    assert samples["answerdesk_messages_last_hour", "agent"] == 0
