"""Follow the conversations with one row of facts each. Every rule of definitions.py is in this file's one statement.

Runs each minute in the general worker. What changed is found by `updated_at`, which rises with every visible change; looking
back a little finds transactions that were still open last time. Twice, or two at once, is harmless.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.db import connection

from chatbot.alone import Duty, alone
from chatbot.insights.definitions import BAD_SCORE, GOOD_SCORE, QUIET_AFTER, REOPENED_WITHIN
from chatbot.insights.models import ConversationFact, FactsState
from chatbot.telemetry import log_event

BATCH = 2_000
# No transaction that changes a conversation lasts so long.
LOOK_BACK = timedelta(minutes=5)

_CHANGED = """
    SELECT id FROM conversations_conversation WHERE updated_at >= %(since)s
    UNION
    SELECT conversation_id FROM insights_conversationfact WHERE outcome = 'open' AND quiet_since < %(quiet)s
"""
# One reply counts by the last time it was written: that is the one its reader has.
_SAID = """
    SELECT message.conversation_id, message.seq, message.role, message.author_id,
           message.created_at, coalesce(message.finished_at, message.created_at) AS at,
           message.role = 'assistant' AND message.status = 'complete'
               AND message.decision IN ('direct', 'compose') AS is_answer,
           feedback.rating, written.queue_s, written.first_text_s, written.tokens_per_s,
           lag(coalesce(message.finished_at, message.created_at))
               OVER (PARTITION BY message.conversation_id ORDER BY message.seq) AS before_at
    FROM conversations_message message
    LEFT JOIN LATERAL (
        SELECT id,
               CASE WHEN completion_tokens > 0 THEN
                   extract(epoch FROM started_at - created_at) + coalesce((trace->>'queued_ms')::float, 0) / 1000 END AS queue_s,
               CASE WHEN completion_tokens > 0 THEN
                   extract(epoch FROM started_at - created_at) + ttft_ms / 1000 END AS first_text_s,
               (trace->>'tokens_per_s')::float AS tokens_per_s
        FROM conversations_generation WHERE reply_id = message.id ORDER BY id DESC LIMIT 1
    ) written ON message.role = 'assistant'
    LEFT JOIN learning_feedback feedback ON feedback.generation_id = written.id
    WHERE message.conversation_id = ANY(%(ids)s) AND message.role <> 'system' AND message.error <> 'taken_over'
"""
_TALK = """
    SELECT conversation_id,
           min(created_at) FILTER (WHERE role = 'customer') AS begun_at,
           max(at) AS quiet_since,
           count(*) FILTER (WHERE role = 'customer') AS customer_messages,
           count(*) FILTER (WHERE is_answer) AS bot_answers,
           count(*) FILTER (WHERE role = 'agent') AS agent_messages,
           count(*) FILTER (WHERE rating = 1) AS thumbs_up,
           count(*) FILTER (WHERE rating = -1) AS thumbs_down,
           coalesce((array_agg(is_answer ORDER BY seq DESC) FILTER (WHERE role = 'assistant'))[1], FALSE) AS ends_with_answer,
           coalesce((array_agg(rating ORDER BY seq DESC) FILTER (WHERE role = 'assistant'))[1], 0) AS last_rating,
           max(at) FILTER (WHERE is_answer) AS answered_at,
           (array_agg(author_id ORDER BY seq DESC) FILTER (WHERE role = 'agent' AND author_id IS NOT NULL))[1] AS agent_id,
           bool_or(CASE WHEN role = 'customer' AND at - before_at BETWEEN %(quiet_after)s
                                                                      AND %(quiet_after)s + %(reopened_within)s
                        THEN NOT EXISTS (SELECT FROM conversations_conversationevent closing
                                         WHERE closing.conversation_id = said.conversation_id AND closing.kind = 'resolved'
                                           AND closing.at BETWEEN said.before_at AND said.at) END) AS returned,
           (array_agg(queue_s ORDER BY seq) FILTER (WHERE queue_s IS NOT NULL))[1] AS queue_s,
           (array_agg(first_text_s ORDER BY seq) FILTER (WHERE first_text_s IS NOT NULL))[1] AS first_text_s,
           (array_agg(tokens_per_s ORDER BY seq) FILTER (WHERE tokens_per_s IS NOT NULL))[1] AS tokens_per_s
    FROM said GROUP BY conversation_id
"""
_HISTORY = """
    SELECT conversation_id,
           min(at) FILTER (WHERE kind = 'asked') AS asked_at,
           coalesce(max(at) FILTER (WHERE kind = 'asked') > max(at) FILTER (WHERE kind = 'cancelled'),
                    bool_or(kind = 'asked')) AS asked,
           bool_or(kind = 'reopened' AND kind_before = 'resolved' AND at - at_before <= %(reopened_within)s) AS reopened
    FROM (
        SELECT conversation_id, kind, at,
               lag(kind) OVER ends AS kind_before, lag(at) OVER ends AS at_before
        FROM conversations_conversationevent
        WHERE conversation_id = ANY(%(ids)s) AND kind IN ('asked', 'cancelled', 'resolved', 'reopened')
        WINDOW ends AS (PARTITION BY conversation_id, kind IN ('resolved', 'reopened') ORDER BY at, id)
    ) events GROUP BY conversation_id
"""
_RATED = """
    SELECT conversation_id, max(score) FILTER (WHERE about = 'bot') AS csat_bot,
           max(score) FILTER (WHERE about = 'person') AS csat_person
    FROM learning_satisfaction WHERE conversation_id = ANY(%(ids)s) GROUP BY conversation_id
"""
_CITED = """
    SELECT message.conversation_id, array_agg(DISTINCT citation.key) AS sources
    FROM conversations_citation citation JOIN conversations_message message ON message.id = citation.message_id
    WHERE message.conversation_id = ANY(%(ids)s) GROUP BY message.conversation_id
"""
_JUDGED = """
    SELECT conversation.id AS conversation_id, talk.begun_at, talk.quiet_since,
           coalesce(nullif(conversation.language, ''), conversation.locale) AS locale, conversation.channel,
           conversation.team_id, coalesce(talk.agent_id, conversation.assigned_to_id) AS agent_id,
           CASE
               WHEN talk.agent_messages > 0 OR conversation.status IN ('waiting', 'held') THEN 'handed_off'
               WHEN (talk.ends_with_answer AND talk.last_rating = 1) OR rated.csat_bot >= %(good)s THEN 'confirmed'
               WHEN conversation.status <> 'resolved' AND talk.quiet_since >= %(quiet)s THEN 'open'
               WHEN history.asked THEN 'abandoned'
               WHEN talk.ends_with_answer AND talk.last_rating >= 0 AND coalesce(rated.csat_bot, 5) > %(bad)s THEN 'assumed'
               ELSE 'abandoned'
           END AS outcome,
           conversation.handoff_reason,
           coalesce(history.reopened, FALSE) OR coalesce(talk.returned, FALSE) AS reopened,
           talk.customer_messages, talk.bot_answers, talk.agent_messages,
           extract(epoch FROM conversation.first_response_at - talk.begun_at) AS first_response_s,
           CASE WHEN conversation.first_agent_response_at >= history.asked_at
                THEN extract(epoch FROM conversation.first_agent_response_at - history.asked_at) END AS person_response_s,
           extract(epoch FROM CASE WHEN conversation.status = 'resolved' THEN conversation.resolved_at
                                   WHEN talk.agent_messages = 0 AND talk.ends_with_answer AND talk.quiet_since < %(quiet)s
                                   THEN talk.answered_at END - talk.begun_at) AS resolution_s,
           talk.queue_s, talk.first_text_s, talk.tokens_per_s, rated.csat_bot, rated.csat_person,
           talk.thumbs_up, talk.thumbs_down,
           conversation.topic, conversation.sentiment, coalesce(cited.sources, '{}') AS sources
    FROM conversations_conversation conversation
    JOIN talk ON talk.conversation_id = conversation.id AND talk.begun_at IS NOT NULL
    LEFT JOIN history ON history.conversation_id = conversation.id
    LEFT JOIN rated ON rated.conversation_id = conversation.id
    LEFT JOIN cited ON cited.conversation_id = conversation.id
"""
_FIELDS = tuple(str(field.column) for field in ConversationFact._meta.concrete_fields)
_UPSERT = (
    f"WITH said AS ({_SAID}), talk AS ({_TALK}), history AS ({_HISTORY}), rated AS ({_RATED}), cited AS ({_CITED}), "
    f"judged AS ({_JUDGED}) INSERT INTO insights_conversationfact ({', '.join(_FIELDS)}) SELECT {', '.join(_FIELDS)} FROM judged "
    f"ON CONFLICT (conversation_id) DO UPDATE SET {', '.join(f'{name} = EXCLUDED.{name}' for name in _FIELDS[1:])}"
)


def refresh(*, now: datetime | None = None, everything: bool = False) -> int:
    """Count what changed since the last time; returns how many conversations that were. Nothing, when another does it now."""
    started = time.monotonic()
    with alone(Duty.COUNTING_FACTS) as mine:
        if not mine:
            return 0
        now = now or _database_now()
        ids = _changed(now, everything=everything)
        for start in range(0, len(ids), BATCH):
            _count(ids[start : start + BATCH], now=now)
        FactsState.objects.update_or_create(pk=1, defaults={"counted_to": now})
    log_event("facts.refreshed", conversations=len(ids), total_ms=(time.monotonic() - started) * 1000)
    return len(ids)


def _changed(now: datetime, *, everything: bool) -> Sequence[UUID]:
    """Ids of the conversations to count; all of them, at the first time."""
    counted_to = None if everything else FactsState.objects.values_list("counted_to", flat=True).first()
    since = counted_to - LOOK_BACK if counted_to else datetime.min.replace(tzinfo=now.tzinfo)
    with connection.cursor() as cursor:
        cursor.execute(_CHANGED, {"since": since, "quiet": now - QUIET_AFTER})
        return [row[0] for row in cursor.fetchall()]


def _count(ids: Sequence[UUID], *, now: datetime) -> None:
    parameters: dict[str, Any] = {
        "ids": list(ids),
        "quiet": now - QUIET_AFTER,
        "quiet_after": QUIET_AFTER,
        "reopened_within": REOPENED_WITHIN,
        "good": GOOD_SCORE,
        "bad": BAD_SCORE,
    }
    with connection.cursor() as cursor:
        cursor.execute(_UPSERT, parameters)


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        return cast(datetime, cursor.fetchone()[0])
