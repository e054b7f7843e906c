"""Fill what lists of conversations show from the messages that are there, and give each status the times it now needs."""

from django.db import migrations

CLOSED_IS_RESOLVED = """
UPDATE conversations_conversation SET status = 'resolved', resolved_at = updated_at WHERE status = 'closed'
"""
WAITING_SINCE = """
UPDATE conversations_conversation
SET waiting_since = updated_at, promised_until = now() + interval '1 day', handoff_reason = 'asked' WHERE status = 'waiting'
"""
LAST_MESSAGE = """
UPDATE conversations_conversation c
SET last_message_at = coalesce(m.finished_at, m.created_at), last_role = m.role, last_message_preview = left(m.text, 160)
FROM (
    SELECT DISTINCT ON (conversation_id) conversation_id, role, text, created_at, finished_at
    FROM conversations_message WHERE role <> 'system' AND text <> '' ORDER BY conversation_id, seq DESC
) m
WHERE m.conversation_id = c.id
"""
FIRST_AND_LAST = """
UPDATE conversations_conversation c
SET last_customer_at = m.last_customer_at, last_customer_seq = coalesce(m.last_customer_seq, 0),
    first_response_at = m.first_response_at, language = c.locale
FROM (
    SELECT conversation_id,
           max(created_at) FILTER (WHERE role = 'customer') AS last_customer_at,
           max(seq) FILTER (WHERE role = 'customer') AS last_customer_seq,
           min(finished_at) FILTER (WHERE role = 'assistant' AND status = 'complete') AS first_response_at
    FROM conversations_message GROUP BY conversation_id
) m
WHERE m.conversation_id = c.id
"""
RESOLVED_IS_CLOSED = "UPDATE conversations_conversation SET status = 'closed' WHERE status = 'resolved'"


class Migration(migrations.Migration):

    dependencies = [
        ('conversations', '0002_takeover'),
    ]

    operations = [
        migrations.RunSQL([CLOSED_IS_RESOLVED, WAITING_SINCE, LAST_MESSAGE, FIRST_AND_LAST], [RESOLVED_IS_CLOSED]),
    ]
