"""What all rooms' doors share: handing a task to a queue."""

from __future__ import annotations

from typing import Any

from kombu.exceptions import OperationalError

from chatbot.telemetry import log_event


def send(task: Any, *arguments: str | int, queue: str, **options: float) -> bool:
    """Put a Celery task into a queue. False, and a line in the log, while the broker cannot be reached.

    options: Celery's, such as countdown and expires, in seconds.
    """
    try:
        task.apply_async(arguments, queue=queue, **options)
    except OperationalError as error:
        log_event("task.enqueue_failed", task=task.name, error=type(error).__name__)
        return False
    return True
