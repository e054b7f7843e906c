"""The numbers of /metrics, out of the database and Redis: true for the whole installation, whichever process is asked.

What happened is counted over the last hour. Those generations and messages are found through their conversations, whose
`updated_at` is indexed and never older than what happened in them, so the cost follows the hour's traffic, not the archive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, F, FloatField, Min, Q, QuerySet, Sum
from django.db.models.expressions import ExpressionWrapper
from django.db.models.functions import Extract, Now
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeHistogramMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from chatbot.conversations.models import Conversation, Generation, Message
from chatbot.insights.drift import drift_families, read_drift
from chatbot.knowledge.drift import Drift
from chatbot.runtime import WorkerState

WINDOW = timedelta(hours=1)
FIRST_TEXT_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


@dataclass(frozen=True)
class Outcome:
    decision: str
    finish_reason: str
    replies: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class FirstText:
    """Replies by the time from the customer's message to the reply's first text: (upper edge in seconds, cumulative count)."""

    buckets: list[tuple[float, int]]
    count: int
    sum_s: float


@dataclass(frozen=True)
class Numbers:
    pending: int
    running: int
    oldest_pending_s: float
    waiting_for_person: int
    outcomes: list[Outcome]
    messages: dict[str, int]
    first_text: FirstText
    drift: Drift


def read_numbers() -> Numbers:
    """Seven queries, whatever is stored."""
    active = Generation.objects.filter(status__in=[Generation.Status.PENDING, Generation.Status.RUNNING]).aggregate(
        pending=Count("pk", filter=Q(status=Generation.Status.PENDING)),
        running=Count("pk", filter=Q(status=Generation.Status.RUNNING)),
        oldest=Min("created_at", filter=Q(status=Generation.Status.PENDING)),
    )
    return Numbers(
        pending=active["pending"],
        running=active["running"],
        oldest_pending_s=max(0.0, (timezone.now() - active["oldest"]).total_seconds()) if active["oldest"] else 0.0,
        waiting_for_person=Conversation.objects.filter(status=Conversation.Status.WAITING).count(),
        outcomes=_outcomes(),
        messages=_messages(),
        first_text=_first_text(),
        drift=read_drift(),
    )


class InstallationCollector(Collector):
    """Turns Numbers and worker states into Prometheus families. None: that part could not be read, and the rest is told."""

    def __init__(self, *, numbers: Numbers | None, workers: list[WorkerState] | None) -> None:
        self._numbers = numbers
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "answerdesk_database_up", "1 if the database answered this scrape", value=float(self._numbers is not None)
        )
        yield GaugeMetricFamily("answerdesk_redis_up", "1 if Redis answered this scrape", value=float(self._workers is not None))
        if self._numbers is not None:
            yield from _queue_families(self._numbers)
            yield from _hour_families(self._numbers)
            yield from drift_families(self._numbers.drift)
        if self._workers is not None:
            yield from _worker_families(self._workers)


def _queue_families(numbers: Numbers) -> Iterator[Metric]:
    generations = GaugeMetricFamily("answerdesk_generations", "Replies not finished yet", labels=["status"])
    generations.add_metric(["pending"], numbers.pending)
    generations.add_metric(["running"], numbers.running)
    yield generations
    yield GaugeMetricFamily(
        "answerdesk_oldest_pending_seconds", "Age of the oldest reply that no worker has taken", value=numbers.oldest_pending_s
    )
    yield GaugeMetricFamily(
        "answerdesk_conversations_waiting", "Conversations whose customer asked for a person", value=numbers.waiting_for_person
    )


def _hour_families(numbers: Numbers) -> Iterator[Metric]:
    replies = GaugeMetricFamily(
        "answerdesk_replies_last_hour", "Replies finished in the last hour", labels=["decision", "finish_reason"]
    )
    tokens = {"prompt": 0, "completion": 0}
    for outcome in numbers.outcomes:
        replies.add_metric([outcome.decision or "none", outcome.finish_reason or "none"], outcome.replies)
        tokens["prompt"] += outcome.prompt_tokens
        tokens["completion"] += outcome.completion_tokens
    yield replies
    token_family = GaugeMetricFamily("answerdesk_tokens_last_hour", "Model tokens of the last hour's replies", labels=["kind"])
    for kind, count in tokens.items():
        token_family.add_metric([kind], count)
    yield token_family
    messages = GaugeMetricFamily("answerdesk_messages_last_hour", "Messages written in the last hour", labels=["role"])
    for role in Message.Role.values:
        messages.add_metric([role], numbers.messages.get(role, 0))
    yield messages
    yield GaugeHistogramMetricFamily(
        "answerdesk_time_to_first_text_seconds",
        "Last hour: from the customer's message to the first text of the reply",
        buckets=[(str(edge), count) for edge, count in numbers.first_text.buckets] + [("+Inf", numbers.first_text.count)],
        gsum_value=numbers.first_text.sum_s,
    )


# What a worker announces: field, metric, what an operator reads in it. Counters only grow until the worker starts again.
_WORKER_GAUGES = [
    ("slots", "slots", "Replies the worker can write at the same time"),
    ("running", "running", "Replies the worker is writing now; all slots in use for long means more workers are needed"),
    ("waiting", "waiting", "Replies the worker has taken that wait for a slot"),
    ("cache_slots", "cache_slots", "Conversations whose earlier turns the worker can keep, so that it need not read them again"),
    ("free_cache_slots", "free_cache_slots", "Places of these that no conversation uses"),
    ("steps_per_s", "steps_per_second", "Passes through the model a second, over the last seconds of work"),
    ("rows_per_step", "rows_per_step", "Tokens that share one pass; near 1 with many running means they do not share the work"),
]
_WORKER_COUNTERS = [
    ("tokens_total", "tokens", "Tokens the worker has written since it started"),
    ("steps_total", "steps", "Passes through the model since the worker started"),
]


def _worker_families(workers: list[WorkerState]) -> Iterator[Metric]:
    yield GaugeMetricFamily("answerdesk_workers", "Generation workers with a loaded model", value=len(workers))
    labels = ["worker", "model"]
    now_ms = timezone.now().timestamp() * 1000
    beat = GaugeMetricFamily("answerdesk_worker_beat_age_seconds", "Time since the worker's last sign of life", labels=labels)
    families: list[tuple[str, GaugeMetricFamily | CounterMetricFamily]] = [
        *((field, GaugeMetricFamily(f"answerdesk_worker_{name}", text, labels=labels)) for field, name, text in _WORKER_GAUGES),
        *(
            (field, CounterMetricFamily(f"answerdesk_worker_{name}", text, labels=labels))
            for field, name, text in _WORKER_COUNTERS
        ),
    ]
    for worker in workers:
        names = [worker.name, worker.model_version]
        beat.add_metric(names, max(0.0, (now_ms - worker.beat_at_ms) / 1000))
        for field, family in families:
            family.add_metric(names, getattr(worker, field))
    yield beat
    for _, family in families:
        yield family


def _lately() -> QuerySet[Generation]:
    since = Now() - WINDOW
    return Generation.objects.filter(conversation__updated_at__gte=since, finished_at__gte=since)


def _outcomes() -> list[Outcome]:
    rows = (
        _lately()
        .values("decision", "finish_reason")
        .annotate(replies=Count("pk"), prompt=Sum("prompt_tokens"), completion=Sum("completion_tokens"))
        .order_by("decision", "finish_reason")
    )
    return [Outcome(r["decision"], r["finish_reason"], r["replies"], r["prompt"], r["completion"]) for r in rows]


def _messages() -> dict[str, int]:
    since = Now() - WINDOW
    rows = Message.objects.filter(conversation__updated_at__gte=since, created_at__gte=since).order_by().values("role")
    return {row["role"]: row["count"] for row in rows.annotate(count=Count("pk"))}


def _first_text() -> FirstText:
    """The wait for a worker and the writer's own time to its first text, together: what the customer waited."""
    waited_s = ExpressionWrapper(
        Extract(F("started_at") - F("created_at"), "epoch") + F("ttft_ms") / 1000.0, output_field=FloatField()
    )
    replies = _lately().filter(ttft_ms__isnull=False, started_at__isnull=False).annotate(waited_s=waited_s)
    edges = {f"le_{index}": Count("pk", filter=Q(waited_s__lte=edge)) for index, edge in enumerate(FIRST_TEXT_BUCKETS_S)}
    found = replies.aggregate(count=Count("pk"), sum_s=Sum("waited_s"), **edges)
    buckets = [(edge, found[f"le_{index}"]) for index, edge in enumerate(FIRST_TEXT_BUCKETS_S)]
    return FirstText(buckets=buckets, count=found["count"], sum_s=found["sum_s"] or 0.0)
