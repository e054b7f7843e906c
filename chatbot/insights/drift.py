"""Whether the last week's questions still look like those the confidence was calibrated for. Reads only, but for one log line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import FloatField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Now
from prometheus_client.core import GaugeMetricFamily, Metric

from chatbot.conversations.models import Generation
from chatbot.knowledge.drift import Drift, drift_of
from chatbot.knowledge.models import KnowledgeIndex
from chatbot.telemetry import log_event

WINDOW = timedelta(days=7)
# The newest ones tell enough, and a scrape must stay cheap.
MAX_QUESTIONS = 5_000


def read_drift() -> Drift:
    """Compare the confidences of the last seven days with the calibration's; two queries."""
    state = KnowledgeIndex.objects.only("calibration").first()
    expected = ((state.calibration if state else None) or {}).get("expected") or {}
    since = Now() - WINDOW
    confidences = (
        Generation.objects.filter(conversation__updated_at__gte=since, finished_at__gte=since, trace__has_key="confidence")
        .order_by("-pk")
        .annotate(confidence=Cast(KT("trace__confidence"), FloatField()))
        .values_list("confidence", flat=True)[:MAX_QUESTIONS]
    )
    return drift_of([value for value in confidences if value is not None], expected=expected.get("histogram"))


def report_drift() -> Drift:
    """Log one event when the alarm is due; called once a day."""
    drift = read_drift()
    if drift.alarm and drift.index is not None:
        log_event("knowledge.drifted", questions=drift.questions, index=round(drift.index, 3))
    return drift


def drift_families(drift: Drift) -> Iterator[Metric]:
    """For /metrics. The index is absent while there is too little to compare."""
    yield GaugeMetricFamily(
        "answerdesk_confidence_questions_last_week", "Questions whose confidence is compared", value=drift.questions
    )
    if drift.index is not None:
        yield GaugeMetricFamily(
            "answerdesk_confidence_drift",
            "Population stability index of the last week's confidences against the calibration's; 0.25 and more is an alarm",
            value=drift.index,
        )
