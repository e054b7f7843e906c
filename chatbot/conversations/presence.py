"""Who is there at this moment: agents at their desks, who looks at which conversation, who types.

Only whether an agent's desk is alive is kept in PostgreSQL, because conversations change hands by it. Everything else lives in
Redis for seconds, expires by itself, and is worth nothing when it is lost.
"""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import redis
from django.db.models.functions import Now

from chatbot import runtime
from chatbot.conversations import custody, publishing
from chatbot.conversations.models import Conversation
from chatbot.conversations.staff_frames import ColleagueTyping, CustomerTyping, Person, PresenceChanged
from chatbot.conversations.staff_models import AgentPresence
from chatbot.protocol import TYPING_SHOWN_S, AgentTyping

# Beats and acts that follow each other faster write no row.
SEEN_AGAIN_S = 5
VIEWING_S = 45


def seen(agent_id: int) -> None:
    """The agent's desk is alive, or the agent did something. Writes a row at most every SEEN_AGAIN_S."""
    stale = AgentPresence.objects.filter(agent_id=agent_id, seen_at__lt=Now() - timedelta(seconds=SEEN_AGAIN_S))
    if not stale.update(seen_at=Now()):
        AgentPresence.objects.bulk_create([AgentPresence(agent_id=agent_id, seen_at=Now())], ignore_conflicts=True)


def open_conversation(conversation_id: UUID, *, agent_id: int) -> list[Person]:
    """The agent looks at a conversation; say so again before VIEWING_S are over. Returns all who do."""
    member = _member(custody.person(custody.agent_of(agent_id)))
    return _view(conversation_id, lambda pipe, key: pipe.zadd(key, {member: _now_ms() + VIEWING_S * 1000}))


def leave_conversation(conversation_id: UUID, *, agent_id: int) -> list[Person]:
    member = _member(custody.person(custody.agent_of(agent_id)))
    return _view(conversation_id, lambda pipe, key: pipe.zrem(key, member))


def viewers(conversation_id: UUID) -> list[Person]:
    """Who looks at a conversation now. Nobody, as far as is known, while Redis is away."""
    try:
        return _viewers(conversation_id)
    except redis.RedisError:
        return []


def agent_typing(conversation_id: UUID, *, agent_id: int) -> None:
    """Show the customer, and colleagues, that the agent types. Nothing when he does not have the conversation."""
    held = Conversation.objects.filter(pk=conversation_id, assigned_to=agent_id).select_related("assigned_to").first()
    if held is None or held.assigned_to is None:
        return
    agent, expires_at_ms = custody.person(held.assigned_to), _now_ms() + TYPING_SHOWN_S * 1000
    publishing.append(
        [
            (publishing.stream_key(conversation_id), AgentTyping(name=agent.name, expires_at_ms=expires_at_ms)),
            (publishing.staff_key(conversation_id), ColleagueTyping(agent=agent, expires_at_ms=expires_at_ms)),
        ]
    )


def customer_typing(conversation_id: UUID) -> None:
    """Show those who look at the conversation that its customer types."""
    if viewers(conversation_id):
        frame = CustomerTyping(expires_at_ms=_now_ms() + TYPING_SHOWN_S * 1000)
        publishing.append([(publishing.staff_key(conversation_id), frame)])


def _view(conversation_id: UUID, change: Any) -> list[Person]:
    """Apply a change to the viewers and tell everybody who they are now."""
    key = _viewers_key(conversation_id)
    try:
        with runtime.valkey().pipeline(transaction=False) as pipe:
            change(pipe, key)
            pipe.zremrangebyscore(key, 0, _now_ms())
            pipe.expire(key, VIEWING_S * 2)
            pipe.execute()
        found = _viewers(conversation_id)
    except redis.RedisError:
        return []
    frame = PresenceChanged(viewers=found, expires_at_ms=_now_ms() + VIEWING_S * 1000)
    publishing.append([(publishing.staff_key(conversation_id), frame)])
    return found


def _viewers(conversation_id: UUID) -> list[Person]:
    client: Any = runtime.valkey()  # redis-py types every answer as a union of all protocols' shapes
    members = client.zrangebyscore(_viewers_key(conversation_id), _now_ms(), "+inf")
    return sorted((Person.model_validate_json(member) for member in members), key=lambda one: one.name)


def _viewers_key(conversation_id: UUID) -> str:
    return f"viewers:{conversation_id}"


def _member(agent: Person) -> str:
    return json.dumps({"id": agent.id, "name": agent.name})


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
