"""The test bench: one question, tried in a generation worker. A job as those of chatbot.assist.jobs, its author's alone.

What is typed may quote a customer, so it waits in Valkey and goes by itself; only a token travels through the broker, and
nothing of it is logged.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from django.conf import settings

from chatbot import runtime
from chatbot.answering.answers import Search
from chatbot.assist import jobs
from chatbot.assist.jobs import Job
from chatbot.documents.search import search_all
from chatbot.engine.requests import EngineError
from chatbot.errors import NotFound
from chatbot.knowledge.access import access_faq_as_staff
from chatbot.quality import scratch
from chatbot.quality.asked import Asked, asked_of
from chatbot.quality.trying import Tried, try_question
from chatbot.telemetry import log_crash


@dataclass(frozen=True)
class Trial:
    """state: as a job's. draft: the id of a FAQ whose draft is used. error: a code. result: see _told()."""

    asked: Asked
    state: str
    draft: int | None = None
    error: str = ""
    result: dict[str, Any] | None = None


def begin_trial(asked: Asked, *, user_id: int, draft: int | None = None) -> str:
    """Keep what is to be tried; returns its token, which the caller hands to a worker. Raises Unavailable."""
    return jobs.begin({"question": asked.as_line(), "draft": draft}, user_id=user_id)


def read_trial(token: str, *, user_id: int) -> Trial:
    """Raises NotFound for another person's trial and for one that is too old, Unavailable while Valkey is down."""
    job = jobs.look(token, user_id=user_id)
    row = jobs.asked_of(token)
    if row is None:
        raise NotFound("This trial is too old. Please ask again.", code="trial_not_found")
    return Trial(asked_of(row["question"]), job.state, row["draft"], job.message, job.found)


def run_trial(token: str) -> None:
    """Answer it with this process's engine. Expected failures are told in the trial; it never raises for those."""
    row = jobs.asked_of(token)
    if row is None:
        return
    jobs.report(token, Job("working"))
    try:
        tried = try_question(asked_of(row["question"]), search=search_with(row["draft"]), engine=runtime.engine())
    except (NotFound, EngineError) as error:
        jobs.report(token, Job("failed", message=error.code))
    except Exception as error:
        log_crash("trial", error)
        jobs.report(token, Job("failed", message="internal"))
    else:
        jobs.report(token, Job("done", _told(tried)))


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
