"""The closed catalogue of log events. Message text cannot get into it; numbers for /metrics come from the database instead.

An event's fields are ids, counts and milliseconds. A name or field that is not in the catalogue raises, in tests and in
production alike: a log line with a customer's words in it is worse than no line.
"""

from __future__ import annotations

import logging
import re
import traceback
from pathlib import Path
from uuid import UUID

logger = logging.getLogger("answerdesk")

EVENTS: dict[str, frozenset[str]] = {
    "generation.finished": frozenset(
        {
            "conversation",
            "generation",
            "decision",
            "finish_reason",
            "prompt_tokens",
            "completion_tokens",
            "ttft_ms",
            "total_ms",
            "model",
        }
    ),
    "generation.failed": frozenset({"conversation", "generation", "attempt", "code", "total_ms"}),
    "generation.lost_lease": frozenset({"generation", "attempt"}),
    "generation.enqueue_failed": frozenset({"generation", "error"}),
    "task.enqueue_failed": frozenset({"task", "error"}),
    "sweep.requeued": frozenset({"generations", "announcements", "exhausted"}),
    "handoff.expired": frozenset({"requests", "returned"}),
    "stream.reconnected": frozenset({"subscribers", "down_ms"}),
    "stream.publish_failed": frozenset({"conversation", "error"}),
    "socket.refused": frozenset({"code"}),
    "engine.started": frozenset({"model", "load_ms"}),
    "version.added": frozenset({"version", "base", "size_bytes", "added_by"}),
    "version.made_live": frozenset({"version", "previous"}),
    "version.followed": frozenset({"version", "previous", "load_ms"}),
    "version.not_followed": frozenset({"version", "code"}),
    "version.forgotten": frozenset({"version"}),
    "version.staged": frozenset({"version", "kind", "previous", "percent"}),
    "version.light_parts": frozenset({"version", "phrasings", "taken"}),
    "version.job_ended": frozenset({"version", "kind", "code"}),
    "examples.gathered": frozenset({"proposed", "merged", "passed_over", "flagged", "total_ms"}),
    "training.ended": frozenset({"run", "method", "status", "code", "total_ms"}),
    "evaluation.ended": frozenset({"version", "against", "questions", "passed", "total_ms"}),
    "shadow.answered": frozenset({"version", "generation", "decision", "total_ms"}),
    "document.ready": frozenset({"document", "revision", "kind", "pages", "passages", "read_ms", "total_ms"}),
    "document.failed": frozenset({"document", "revision", "code"}),
    "document.deleted": frozenset({"document", "revision"}),
    "document.suggested": frozenset({"document", "asked", "drafts", "total_ms"}),
    "knowledge.indexed": frozenset({"version", "faqs", "phrasings", "embedded", "total_ms"}),
    "knowledge.calibrated": frozenset({"version", "sample", "direct_at", "compose_at", "total_ms"}),
    "knowledge.drifted": frozenset({"questions", "index"}),
    "knowledge.imported": frozenset({"created", "changed", "unchanged", "errors"}),
    "questions.ran": frozenset({"run", "kind", "questions", "total_ms"}),
    "transcript.mailed": frozenset({"conversation"}),
    "transcript.mail_failed": frozenset({"error"}),
    "facts.refreshed": frozenset({"conversations", "total_ms"}),
    "account.change_unheard": frozenset({"user", "error"}),
    "account.sso_failed": frozenset({"error"}),
    "account.sso_refused": frozenset({"code"}),
    "mail.failed": frozenset({"error"}),
    "classifiers.trained": frozenset({"topics", "phrasings"}),
    "conversations.read": frozenset({"conversations"}),
    "conversations.anger_not_told": frozenset({"conversation", "code"}),
    "reviews.gathered": frozenset({"answers"}),
    "gaps.gathered": frozenset({"questions", "new", "gaps", "total_ms"}),
}

# An identifier, an enum value or a class name; nothing a customer could have typed as a sentence.
_TOKEN = re.compile(r"[\w.:/@+-]{0,80}\Z", re.ASCII)


def log_crash(what: str, error: BaseException) -> None:
    """Log an unexpected error's type and where it came from. Not its message: that may quote what a customer wrote."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    logger.error("%s: %s at %s", what, type(error).__name__, places)


def log_event(name: str, **fields: str | int | float | UUID | None) -> None:
    """Write one structured line. Raises ValueError for an unknown event, an unknown field, or a value that looks like text."""
    allowed = EVENTS.get(name)
    if allowed is None:
        raise ValueError(f"unknown log event {name!r}")
    parts = []
    for key, value in fields.items():
        if key not in allowed:
            raise ValueError(f"event {name!r} has no field {key!r}")
        if isinstance(value, str) and not _TOKEN.match(value):
            raise ValueError(f"field {key!r} of {name!r} must be an identifier, not text")
        parts.append(f"{key}={value:.1f}" if isinstance(value, float) else f"{key}={value}")
    logger.info("%s %s", name, " ".join(parts))
