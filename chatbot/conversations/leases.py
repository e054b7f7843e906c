"""Who may write a reply: claim a generation, keep its lease, give it back. All times are the database's.

A claim is one conditional update that must hit one row; whoever loses the race sees zero rows. `fence` goes up with every
claim and stands in every later write, so a worker that slept past its lease cannot write over its successor.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from chatbot.conversations.models import Generation

Status = Generation.Status


@dataclass
class Claim:
    """The right to write one reply. `ended` is set when the customer or a person stops it, or the lease is lost."""

    generation_id: int
    fence: int
    ended: threading.Event = field(default_factory=threading.Event)
    lost: bool = False


# The claims of this process, for the keeper's thread.
_held: dict[int, Claim] = {}
_held_lock = threading.Lock()


def claim(generation_id: int) -> Claim | None:
    """Take the generation if it waits, or if its worker is gone. None: somebody else has it, or it is not its turn."""
    earlier = Generation.objects.filter(
        conversation=OuterRef("conversation"), status__in=[Status.PENDING, Status.RUNNING], reply__seq__lt=OuterRef("reply__seq")
    )
    free = Q(status=Status.PENDING) | Q(status=Status.RUNNING, lease_until__lt=Now())
    try:
        with transaction.atomic():
            # The join stands in a subquery: what stands beside it is looked at again when another has just changed the row.
            its_turn = Generation.objects.filter(~Exists(earlier), pk=generation_id).values("pk")
            taken = Generation.objects.filter(
                free, pk__in=its_turn, attempts__lt=settings.REPLY_MAX_ATTEMPTS, taken_over=False
            ).update(
                status=Status.RUNNING,
                fence=F("fence") + 1,
                attempts=F("attempts") + 1,
                lease_until=_lease_end(),
                started_at=Now(),
            )
    except IntegrityError:  # generation_one_running: another reply of this conversation was claimed in the same moment.
        return None
    if not taken:
        return None
    held = Claim(generation_id, Generation.objects.values_list("fence", flat=True).get(pk=generation_id))
    with _held_lock:
        _held[generation_id] = held
    return held


def owned(held: Claim) -> QuerySet[Generation]:
    """The generation, if this claim still holds it. Every write of a reply goes through this filter."""
    return Generation.objects.filter(pk=held.generation_id, fence=held.fence, status=Status.RUNNING)


def give_back(held: Claim) -> None:
    """Return unfinished work to the outbox, for the next worker."""
    owned(held).update(status=Status.PENDING, lease_until=None, enqueued_at=None)


def let_go(held: Claim) -> None:
    """Forget the claim in this process."""
    with _held_lock:
        if _held.get(held.generation_id) is held:
            del _held[held.generation_id]


def end_stopped() -> None:
    """Set `ended` on the claims whose customers have pressed stop, or have a person with them now."""
    claims = _claims()
    if not claims:
        return
    stopped = Generation.objects.filter(pk__in=claims, stop_requested_at__isnull=False).values_list("pk", flat=True)
    for pk in stopped:
        claims[pk].ended.set()


def renew() -> None:
    """Push the end of every held lease; a claim whose row has moved on is marked lost and ended."""
    claims = _claims()
    if not claims:
        return
    mine = Q()
    for held in claims.values():
        mine |= Q(pk=held.generation_id, fence=held.fence)
    Generation.objects.filter(mine, status=Status.RUNNING).update(lease_until=_lease_end())
    alive = set(Generation.objects.filter(mine, status=Status.RUNNING).values_list("pk", flat=True))
    for pk, held in claims.items():
        if pk not in alive:
            held.lost = True
            held.ended.set()


def release_connection() -> None:
    """Give the thread's database connection back to the pool before long work; no-op inside a transaction."""
    if not connection.in_atomic_block:
        connection.close()


def _claims() -> dict[int, Claim]:
    with _held_lock:
        return dict(_held)


def _lease_end() -> Any:
    return Now() + timedelta(seconds=settings.REPLY_LEASE_S)
