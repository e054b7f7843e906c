"""What workers are asked to do with a version: one thing at a time for each, and every end is written down.

A worker says every few seconds that it lives. One that dies leaves a job without a sign of life, which `settle` ends as failed,
so that whoever looks at the page is told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from chatbot.errors import Conflict, Unavailable
from chatbot.releases.models import Job, ModelVersion
from chatbot.staffing import audit

BEAT_S = 3.0
SILENCE = timedelta(seconds=30)
_DEED = {Job.Kind.COMPARE: "version.compared", Job.Kind.MERGE: "version.merge_asked"}


def ask(
    kind: str, version: ModelVersion, *, dataset: str = "", by: AbstractBaseUser | None = None, enqueue: Callable[[int], bool]
) -> Job:
    """Put a job in line. enqueue: hands its id to a worker, and says whether that worked. Raises Conflict, Unavailable."""
    settle(version)
    with transaction.atomic():
        ModelVersion.objects.select_for_update().get(pk=version.pk)
        active = version.jobs.filter(status__in=["waiting", "running"]).first()
        if active is not None:
            raise Conflict(f"{active.get_kind_display()} of {version} is under way already.", code="job_under_way")
        job = Job.objects.create(kind=kind, version=version, dataset=dataset, by_id=by.pk if by else None)
        audit.record(by.pk if by else None, _DEED[Job.Kind(kind)], f"version {version.name}", {"dataset": dataset})
    if not enqueue(job.pk):
        job.delete()
        raise Unavailable("The queue cannot be reached just now. Try again in a moment.", code="queue_away")
    return job


def claim(job_id: int) -> Job | None:
    """Take a job that waits, or whose worker has fallen silent; none when it is another's or has ended."""
    free = Q(status="waiting") | Q(status="running", beat_at__lt=timezone.now() - SILENCE)
    if not Job.objects.filter(free, pk=job_id).update(status="running", beat_at=Now(), began_at=Now()):
        return None
    return Job.objects.select_related("version__base", "by").get(pk=job_id)


@contextmanager
def alive(job: Job) -> Iterator[None]:
    """Say that the job's worker lives, for as long as the block runs."""
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(job.pk, over), name="job-beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def end(job: Job, *, error: str = "", text: str = "") -> None:
    """Write down how a job ended; without an error it is done."""
    status = Job.Status.FAILED if error else Job.Status.DONE
    rows = Job.objects.filter(pk=job.pk, status="running")
    rows.update(status=status, error=error[:40], error_text=text[:500], ended_at=Now())


def waiting() -> list[int]:
    """Jobs whose message the broker may have lost: nobody has taken them for a while."""
    late = timezone.now() - SILENCE
    return list(Job.objects.filter(status="waiting", asked_at__lt=late).order_by("pk").values_list("pk", flat=True))


def newest(version: ModelVersion) -> Job | None:
    """The last thing asked for; one whose worker has died is ended first."""
    settle(version)
    return version.jobs.first()


def settle(version: ModelVersion) -> None:
    """End what no worker is at any more."""
    dead = version.jobs.filter(status="running", beat_at__lt=timezone.now() - SILENCE)
    dead.update(status="failed", error="killed", error_text="", ended_at=Now())


def _beat(job_id: int, over: threading.Event) -> None:
    try:
        while not over.wait(BEAT_S):
            try:
                Job.objects.filter(pk=job_id, status="running").update(beat_at=Now())
            except DatabaseError:  # away for a while: the next beat comes
                connection.close()
    finally:
        connection.close()
