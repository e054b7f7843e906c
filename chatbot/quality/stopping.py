"""Whether a run is to stop, and the sign of life that keeps it this worker's."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error
from django.db.models.functions import Now

from chatbot import runtime
from chatbot.conversations.leases import release_connection
from chatbot.quality.models import QuestionRun

# One question may take minutes; whoever presses Stop should not wait that long.
BEAT_S = 3.0


class Stop:
    """As this worker last heard it."""

    def __init__(self, run_id: uuid.UUID) -> None:
        self._run_id = run_id
        self.requested = False

    def look(self) -> None:
        """Show a sign of life and hear whether to stop; so does a run that was deleted."""
        run = QuestionRun.objects.filter(pk=self._run_id)
        run.update(beat_at=Now())
        self.requested = not run.filter(stop_requested=False).exists()

    def now(self) -> bool:
        return self.requested or runtime.stopping.is_set()


@contextmanager
def beating(stop: Stop) -> Iterator[None]:
    """Look every few seconds in a thread of its own, however long one question takes."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_S):
            try:
                stop.look()
            except Error:  # The database is away; the thread that stores results will notice if it stays so.
                pass
            finally:
                release_connection()

    threading.Thread(target=beat, name="run beat", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
