"""The look for what may be learnt, by a click or by itself every night: proposals are made and flags renewed, nothing trains."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.utils import timezone

from chatbot.learning import approving, examples
from chatbot.learning.models import Sweep
from chatbot.telemetry import log_event

# Hours of the site's own time in which nobody minds the work.
NIGHT = range(1, 5)
# One sweep a night; a night that was slept through is made up for in the day.
ENOUGH = timedelta(hours=12)
OVERDUE = timedelta(hours=36)


def sweep(*, by_id: int | None = None) -> Sweep:
    """Propose everything new and look at all living examples for what is strange. Any number of times, also two at once."""
    begun = time.monotonic()
    found = examples.gather()
    flags = approving.flag_all()
    made = Sweep.objects.create(
        by_id=by_id, proposed=found.proposed, merged=found.merged, passed_over=found.passed_over, flags=flags
    )
    log_event(
        "examples.gathered",
        proposed=found.proposed,
        merged=found.merged,
        passed_over=found.passed_over,
        flagged=sum(flags.values()),
        total_ms=(time.monotonic() - begun) * 1000,
    )
    return made


def sweep_at_night() -> Sweep | None:
    """Called every hour; sweeps once a night."""
    return sweep() if is_due(last_sweep(), now=timezone.now()) else None


def last_sweep() -> Sweep | None:
    return Sweep.objects.select_related("by").first()


def is_due(last: Sweep | None, *, now: datetime) -> bool:
    if is_night(now):
        return last is None or now - last.at > ENOUGH
    return last is not None and now - last.at > OVERDUE


def is_night(now: datetime) -> bool:
    return timezone.localtime(now).hour in NIGHT
