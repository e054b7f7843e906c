"""Tell customers who wait for a person their place, as the queue moves."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from chatbot import runtime
from chatbot.conversations import publishing
from chatbot.conversations.models import Conversation
from chatbot.protocol import PersonPlace

TELL_S = 3
# The first of each line; those behind know their place from when they asked.
BATCH = 500
_TOLD = "person_line:told"


def tell_places() -> int:
    """Publish the places that have changed; returns how many. One worker of the installation does it at a time."""
    client = runtime.valkey()
    if not client.set("person_line:teller", runtime.worker_name(), nx=True, px=TELL_S * 1000 - 100):
        return 0
    told: dict[bytes, bytes] = client.hgetall(_TOLD)  # type: ignore[assignment]  # redis-py types sync and async answers as one
    places = _places()
    changed = {pk: place for pk, place in places.items() if told.get(str(pk).encode()) != str(place).encode()}
    publishing.announce_all([(pk, PersonPlace(place=place)) for pk, place in changed.items()])
    _remember(places, told)
    return len(changed)


def _places() -> dict[UUID, int]:
    line = Conversation.objects.filter(status=Conversation.Status.WAITING, opens_at__isnull=True)
    ahead: Counter[int | None] = Counter()
    places = {}
    for pk, team_id in line.order_by("-priority", "waiting_since", "id").values_list("pk", "team_id")[:BATCH]:
        ahead[team_id] += 1
        places[pk] = ahead[team_id]
    return places


def _remember(places: dict[UUID, int], told: dict[bytes, bytes]) -> None:
    gone = set(told) - {str(pk).encode() for pk in places}
    with runtime.valkey().pipeline(transaction=False) as pipe:
        if gone:
            pipe.hdel(_TOLD, *gone)
        if places:
            pipe.hset(_TOLD, mapping={str(pk): place for pk, place in places.items()})
        pipe.execute()
