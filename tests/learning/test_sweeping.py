"""The nightly look for what may be learnt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatbot.knowledge.models import Faq
from chatbot.learning import sweeping, tasks
from chatbot.learning.models import Example, Sweep
from support_portal.accounts.models import User

NIGHT = datetime(2026, 3, 2, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "hours_since", "due"),
    [
        (NIGHT, None, True),
        (NIGHT, 1, False),
        (NIGHT, 13, True),
        (NIGHT.replace(hour=14), None, False),
        (NIGHT.replace(hour=14), 24, False),
        (NIGHT.replace(hour=14), 37, True),
    ],
)
def test_once_a_night_and_a_missed_night_is_made_up_for(now: datetime, hours_since: int | None, due: bool) -> None:
    last = None if hours_since is None else Sweep(at=now - timedelta(hours=hours_since))
    assert sweeping.is_due(last, now=now) is due


@pytest.mark.django_db
def test_a_sweep_is_counted_and_logged_and_changes_nothing_again(
    omar: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    caplog.set_level("INFO", logger="answerdesk")
    Faq.objects.create(
        key="hours", locale="en", question="When do you open?", answer="Daily from ten.", status="published", published_at=NIGHT
    )
    monkeypatch.setattr(sweeping.timezone, "now", lambda: NIGHT)
    tasks.sweep_at_night()
    tasks.sweep_at_night()
    first = Sweep.objects.get()
    assert first.proposed == Example.objects.count() == 1 and first.by is None
    assert "examples.gathered proposed=1 merged=0" in caplog.text and "open" not in caplog.text
    again = sweeping.sweep(by_id=omar.pk)
    assert (again.proposed, again.by) == (0, omar) and sweeping.last_sweep() == again
    schedule = settings.CELERY_BEAT_SCHEDULE["sweep-at-night"]
    assert schedule["task"] == tasks.sweep_at_night.name and "queue" not in schedule["options"], (
        "the general queue is the default"
    )
