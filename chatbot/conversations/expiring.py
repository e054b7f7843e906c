"""What nobody may wait for without end: requests that no person took, and customers whose person has gone silent.

The keeper of every generation worker calls this; each conversation is decided again under its lock, so that twice is harmless.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Greatest, Now

from chatbot.conversations import takeover
from chatbot.conversations.models import Conversation
from chatbot.conversations.staff_models import AgentPresence
from chatbot.telemetry import log_event

BATCH = 100


def expire() -> None:
    """Give back what was promised and not kept."""
    expired = expire_requests()
    returned = return_forsaken()
    if expired or returned:
        log_event("handoff.expired", requests=expired, returned=returned)


def expire_requests() -> int:
    """Return requests that nobody took within the promised time to the bot; returns how many."""
    due = Conversation.objects.filter(status=Conversation.Status.WAITING, promised_until__lt=Now()).order_by("promised_until")
    return sum(takeover.expire_request(pk) for pk in list(due.values_list("pk", flat=True)[:BATCH]))


def return_forsaken() -> int:
    """Take conversations from agents who are gone, or who let their customers wait too long; returns how many."""
    return sum(
        takeover.return_to_others(pk, agent_id=agent_id, reason=reason, among=rows)
        for reason, rows in (("gone", _whose_agent_is_gone()), ("silent", _whose_agent_is_silent()))
        for pk, agent_id in list(rows.values_list("pk", "assigned_to_id")[:BATCH])
        if agent_id is not None
    )


def _whose_agent_is_gone() -> QuerySet[Conversation]:
    since = Now() - timedelta(seconds=settings.AGENT_GONE_S)
    alive = AgentPresence.objects.filter(agent_id=OuterRef("assigned_to_id"), seen_at__gte=since)
    # A closed account gives up what it has at once; this finds what it took in that very moment.
    gone = Q(~Exists(alive), held_since__lt=since) | Q(assigned_to__is_active=False)
    return Conversation.objects.filter(gone, status=Conversation.Status.HELD)


def _whose_agent_is_silent() -> QuerySet[Conversation]:
    """Held conversations whose customer waits for an answer: since he wrote, or since the agent took it, whichever is later."""
    unanswered = Q(last_agent_at__isnull=True) | Q(last_agent_at__lt=F("last_customer_at"))
    rows = Conversation.objects.filter(unanswered, status=Conversation.Status.HELD, last_customer_at__isnull=False)
    waited_from = Greatest(Coalesce("last_customer_at", "held_since"), F("held_since"))
    return rows.annotate(waited_from=waited_from).filter(waited_from__lt=Now() - timedelta(seconds=settings.AGENT_SILENT_S))
