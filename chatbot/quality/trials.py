"""The test bench: one question, tried in a generation worker, its result kept for a quarter of an hour.

What is typed may quote a customer, so it waits in Valkey under its author's id and goes by itself; only a token travels
through the broker, and nothing of it is logged.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import redis
from django.conf import settings

from chatbot import runtime
from chatbot.answering.answers import Search
from chatbot.documents.search import search_all
from chatbot.engine.requests import EngineError
from chatbot.errors import NotFound, Unavailable
from chatbot.knowledge.access import access_faq_as_staff
from chatbot.quality import scratch
from chatbot.quality.asked import Asked, asked_of
from chatbot.quality.trying import Tried, try_question
from chatbot.telemetry import log_crash

KEPT_S = 15 * 60


@dataclass(frozen=True)
class Trial:
    """state: waiting, running, done or failed. draft: the id of a FAQ whose draft is used. result: see _told()."""

    asked: Asked
    state: str
    draft: int | None = None
    error: str = ""
    result: dict[str, Any] | None = None


def begin_trial(asked: Asked, *, user_id: int, draft: int | None = None) -> str:
    """Keep what is to be tried; returns its token, which the caller hands to a worker. Raises Unavailable."""
    token = f"{user_id}-{uuid.uuid4().hex}"
    _keep(token, {"asked": asked.as_line(), "draft": draft, "state": "waiting"})
    return token


def read_trial(token: str, *, user_id: int) -> Trial:
    """Raises NotFound for another person's trial and for one that is too old, Unavailable while Valkey is down."""
    if not token.startswith(f"{user_id}-"):
        raise NotFound("This trial does not exist.", code="trial_not_found")
    row = _kept(token)
    if row is None:
        raise NotFound("This trial is older than 15 minutes. Please ask again.", code="trial_not_found")
    return Trial(asked_of(row["asked"]), row["state"], row["draft"], row.get("error", ""), row.get("result"))


def run_trial(token: str) -> None:
    """Answer it with this process's engine. Expected failures are told in the trial; it never raises for those."""
    row = _kept(token)
    if row is None or row["state"] == "done":
        return
    _keep(token, row | {"state": "running"})
    asked = asked_of(row["asked"])
    try:
        tried = try_question(asked, search=search_with(row["draft"]), engine=runtime.engine())
    except (NotFound, EngineError) as error:
        _keep(token, row | {"state": "failed", "error": error.code})
        return
    except Exception as error:
        log_crash("trial", error)
        _keep(token, row | {"state": "failed", "error": "internal"})
        return
    _keep(token, row | {"state": "done", "result": _told(tried)})


def search_with(draft: int | None) -> Search:
    """The live search, or that of the knowledge with one FAQ as it stands now. Raises NotFound."""
    if draft is None:
        return search_all
    return partial(search_all, search_faqs=scratch.with_draft(access_faq_as_staff(draft)).search)


def _told(tried: Tried) -> dict[str, Any]:
    answer = tried.answer
    return {
        "decision": tried.decision,
        "text": answer.text,
        "language": answer.language,
        "choices": list(answer.choices),
        "citations": [asdict(citation) for citation in answer.citations],
        "sources": [{"key": m.key, "locale": m.locale, "question": m.question, "faq_id": m.faq_id} for m in tried.sources],
        "prompt": [{"role": message.role, "content": message.content} for message in tried.prompt],
        "trace": answer.trace,
        "confidence": tried.confidence,
        "finish_reason": answer.finish_reason,
        "model_version": answer.model_version,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "ttft_ms": answer.ttft_ms,
        "total_ms": round(tried.total_s * 1000, 1),
        "worker": runtime.worker_name(),
        "deadline_s": settings.REPLY_DEADLINE_S,
    }


def _keep(token: str, row: Mapping[str, Any]) -> None:
    try:
        runtime.valkey().set(_key(token), json.dumps(row), ex=KEPT_S)
    except redis.RedisError as error:
        raise Unavailable("The question could not be handed to a worker. Please try again in a minute.") from error


def _kept(token: str) -> dict[str, Any] | None:
    try:
        packed = runtime.valkey().get(_key(token))
    except redis.RedisError as error:
        raise Unavailable("The result cannot be reached now. Please try again in a minute.") from error
    row: dict[str, Any] | None = json.loads(packed) if isinstance(packed, bytes) else None
    return row


def _key(token: str) -> str:
    return f"trial:{token[:80]}"
