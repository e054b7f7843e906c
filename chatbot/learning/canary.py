"""Is the canary doing worse than the live version? If so beyond chance, it is withdrawn without waiting for anybody."""

from __future__ import annotations

import math
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from chatbot.conversations.models import Generation
from chatbot.errors import Conflict
from chatbot.releases import stages, versions
from chatbot.releases.models import ModelVersion, Promotion

# Looked at every minute for days, so a single look must be all but certain.
CERTAIN = 0.001
MIN_ANSWERS = 30
MIN_RATINGS = 12
SIGNS = (("rated_down", "rated", "thumbs down"), ("refused", "answers", "refusals"), ("failed", "answers", "failures"))


@dataclass(frozen=True)
class Tally:
    """Of answers that the model was asked for. refused: it said that it does not know; failed: no answer came."""

    answers: int
    refused: int
    failed: int
    rated: int
    rated_down: int


@dataclass(frozen=True)
class Standing:
    """The canary beside the live version since it began. worse: the signs that are worse beyond chance, in words."""

    version: str
    percent: int
    canary: Tally
    live: Tally
    worse: tuple[str, ...]


def standing() -> Standing | None:
    """None while there is no canary."""
    canary, live = ModelVersion.objects.filter(stage=ModelVersion.Stage.CANARY).first(), versions.live_version()
    if canary is None or live is None:
        return None
    begun = (
        Promotion.objects.filter(version=canary, kind=Promotion.Kind.CANARY).order_by("-pk").values_list("at", flat=True).first()
    )
    since = Generation.objects.filter(finished_at__gte=begun) if begun else Generation.objects.none()
    ours, theirs = tally(since.filter(model_version=canary.name)), tally(since.filter(model_version=live.name))
    worse = []
    for part, whole, words in SIGNS:
        least = MIN_RATINGS if whole == "rated" else MIN_ANSWERS
        counts = getattr(ours, part), getattr(ours, whole), getattr(theirs, part), getattr(theirs, whole)
        if min(counts[1], counts[3]) >= least and chance(*counts) <= CERTAIN:
            worse.append(f"{words}: {counts[0]} of {counts[1]}, live {counts[2]} of {counts[3]}")
    return Standing(canary.name, canary.canary_percent, ours, theirs, tuple(worse))


def watch() -> str:
    """Withdraw the canary when it does worse; returns its name then, else nothing."""
    found = standing()
    if found is None or not found.worse:
        return ""
    try:
        stages.withdraw(found.version, reason="; ".join(found.worse), by_itself=True)
    except Conflict:  # somebody was quicker
        return ""
    return found.version


def tally(rows: QuerySet[Generation]) -> Tally:
    counts = rows.aggregate(
        answers=Count("pk"),
        refused=Count("pk", filter=Q(decision="handoff")),
        failed=Count("pk", filter=Q(status=Generation.Status.FAILED)),
        rated=Count("feedback"),
        rated_down=Count("feedback", filter=Q(feedback__rating=-1)),
    )
    return Tally(**counts)


def chance(bad: int, of: int, bad_live: int, of_live: int) -> float:
    """How likely so many bad ones or more are if both were alike: Fisher's exact test, one-sided."""
    total, total_bad = of + of_live, bad + bad_live
    ways = math.comb(total, of)
    return sum(math.comb(total_bad, k) * math.comb(total - total_bad, of - k) for k in range(bad, min(of, total_bad) + 1)) / ways
