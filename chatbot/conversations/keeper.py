"""The generation worker's housekeeping thread: hear stops, renew leases, sweep, tell places in the queues,
give back what no person took in time, say that it is alive.

It ends the worker when its engine has died.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import connection

from chatbot import runtime
from chatbot.conversations import affinity, expiring, leases, person_line, sweeping, waiting_line
from chatbot.releases import following

logger = logging.getLogger(__name__)

STOP_POLL_S = 0.15
TIDY_S = 60


def start() -> threading.Thread:
    thread = threading.Thread(target=keep, name="keeper", daemon=True)
    thread.start()
    return thread


def keep() -> None:
    """Run each duty at its own pace until the worker stops. One that fails is logged and tried again at its next turn."""
    duties: list[tuple[float, Callable[[], object]]] = [
        (STOP_POLL_S, leases.end_stopped),
        (settings.REPLY_HEARTBEAT_S, leases.renew),
        (settings.REPLY_SWEEP_S, sweeping.sweep),
        (runtime.WORKER_BEAT_S, runtime.announce_worker),
        (runtime.WORKER_BEAT_S, leave_without_engine),
        (waiting_line.TELL_S, waiting_line.tell_places),
        (person_line.TELL_S, person_line.tell_places),
        (settings.HANDOFF_SWEEP_S, expiring.expire),
        (TIDY_S, affinity.drop_queues_of_the_dead),
        (following.FOLLOW_S, following.follow_live),
    ]
    due = [0.0] * len(duties)
    while not runtime.stopping.wait(STOP_POLL_S / 3):
        for number, (every_s, duty) in enumerate(duties):
            if time.monotonic() >= due[number]:
                due[number] = time.monotonic() + every_s
                _attend(duty)


def leave_without_engine() -> None:
    """End this worker when its engine has died: a supervisor starts a new one, and the replies in work find another worker."""
    if not runtime.engine().alive:
        logger.critical("the engine has died; this worker leaves")
        os.kill(os.getpid(), signal.SIGTERM)


def _attend(duty: Callable[[], object]) -> None:
    try:
        duty()
    except Exception as error:  # The database or Redis may be away for a while; the thread must outlive that.
        logger.warning("%s failed: %s", duty.__name__, type(error).__name__)
        connection.close()
