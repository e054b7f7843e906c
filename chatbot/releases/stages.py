"""A version's way to the customers: shadow, canary, live, and back.

Only the database says who answers; the workers follow it within seconds (following.py). What a conversation began with it
keeps: the canary's share is a hash of the conversation's id, so raising the share moves nobody back.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from chatbot.errors import Conflict, InvalidInput, NotFound
from chatbot.releases import versions
from chatbot.releases.models import Evaluation, ModelVersion, Promotion
from chatbot.staffing import audit
from chatbot.telemetry import log_event

MIN_REASON_CHARS = 12
MAX_PERCENT = 50


@dataclass(frozen=True)
class Chosen:
    """Who answers a conversation; empty for the live version. shadow: who answers it unseen besides, if anybody."""

    version: str = ""
    shadow: str = ""


def version_for(conversation_id: UUID | str) -> Chosen:
    """One query. The same conversation gets the same version as long as the canary's share does not shrink."""
    staged = dict(ModelVersion.objects.exclude(stage="").values_list("stage", "name"))
    if not staged:
        return Chosen()
    canary = staged.get(ModelVersion.Stage.CANARY, "")
    if canary:
        percent = ModelVersion.objects.filter(name=canary).values_list("canary_percent", flat=True).first() or 0
        canary = canary if in_share(conversation_id, canary, percent=percent) else ""
    return Chosen(version=canary, shadow=staged.get(ModelVersion.Stage.SHADOW, ""))


def in_share(conversation_id: UUID | str, version: str, *, percent: int) -> bool:
    place = int(hashlib.sha256(f"{version}:{conversation_id}".encode()).hexdigest()[:8], 16) % 10_000
    return place < percent * 100


def to_shadow(name: str, *, by: AbstractBaseUser | None = None) -> ModelVersion:
    """Let a version answer unseen; no customer reads it, so no gate. Raises NotFound, Conflict, ModelRefused."""
    return _stage(name, ModelVersion.Stage.SHADOW, by=by)


def to_canary(name: str, *, percent: int, by: AbstractBaseUser | None = None, reason: str = "") -> ModelVersion:
    """Let a version answer a share of the conversations. Raises InvalidInput, Conflict (also where the gate refuses)."""
    if not 1 <= percent <= MAX_PERCENT:
        raise InvalidInput(f"A canary answers 1 to {MAX_PERCENT} percent of the conversations.", field="percent")
    return _stage(name, ModelVersion.Stage.CANARY, by=by, percent=percent, reason=reason)


def to_live(name: str, *, by: AbstractBaseUser | None = None, reason: str = "") -> ModelVersion:
    """Let a version answer everybody. The gate must have passed it, or a reason says why it goes on all the same (audit log).

    Of two promotions at once the second finds the first's version live and decides against that one.
    Raises NotFound, Conflict, ModelRefused.
    """
    with transaction.atomic():
        _lock()
        previous = versions.live_version()
        overridden = _pass_gate(name, reason=reason)
        ModelVersion.objects.filter(name=name).update(stage="", canary_percent=0)
        version = versions.make_live(name, made_by=by)
        if previous != version:
            _note(Promotion.Kind.LIVE, version, previous=previous, by=by, reason=reason, overridden=overridden)
    return version


def withdraw(name: str, *, by: AbstractBaseUser | None = None, reason: str = "", by_itself: bool = False) -> ModelVersion:
    """Take a version out of shadow or canary; its conversations go on with the live one. Raises NotFound, Conflict."""
    with transaction.atomic():
        _lock()
        version = _get(name)
        if not version.stage:
            raise Conflict(f"{name} is in no stage.", code="version_not_staged")
        ModelVersion.objects.filter(pk=version.pk).update(stage="", canary_percent=0)
        _note(Promotion.Kind.RETURNED if by_itself else Promotion.Kind.WITHDRAWN, version, by=by, reason=reason)
    return version


def roll_back(*, by: AbstractBaseUser | None = None, reason: str = "") -> ModelVersion:
    """Let the version that answered before answer again; back twice is forward again. Raises Conflict when there was none."""
    with transaction.atomic():
        _lock()
        live = versions.live_version()
        last = Promotion.objects.filter(kind__in=[Promotion.Kind.LIVE, Promotion.Kind.ROLLED_BACK]).first()
        if live is None or last is None or last.previous is None or last.version_id != live.pk:
            raise Conflict("No version answered before this one that could answer again.", code="nothing_to_roll_back")
        version = versions.make_live(last.previous.name, made_by=by)
        ModelVersion.objects.filter(pk=version.pk).update(stage="", canary_percent=0)
        _note(Promotion.Kind.ROLLED_BACK, version, previous=live, by=by, reason=reason)
    return version


def last_evaluation(version: ModelVersion) -> Evaluation | None:
    """The newest one against the version that is live now; older comparisons say nothing about this change."""
    live = versions.live_version()
    return version.evaluations.filter(against=live).first() if live else None


def _pass_gate(name: str, *, reason: str) -> bool:
    """Whether a reason had to stand in for the gate. Base weights, and what has been live, need no gate."""
    version = _get(name)
    known = version.base_id is None or version.live_since is not None
    evaluation = None if known else last_evaluation(version)
    if known or (evaluation and evaluation.passed):
        return False
    if len(reason.strip()) >= MIN_REASON_CHARS:
        return True
    why = (
        "; ".join(text for _, text in evaluation.verdict["reasons"])
        if evaluation
        else "It was not compared with the live version."
    )
    raise Conflict(f"{name} may not go on: {why} Write a reason to override.", code="gate_refused")


def _stage(name: str, stage: str, *, by: AbstractBaseUser | None, percent: int = 0, reason: str = "") -> ModelVersion:
    version = _get(name)
    if version.base_id is not None and version.folder:
        versions.verify_files(version)
    with transaction.atomic():
        _lock()
        version, live = _get(name), versions.live_version()
        if version.is_live:
            raise Conflict(f"{name} is live already.", code="version_is_live")
        if version.base_id is None or not version.folder:
            why = "is whole weights; workers hold those that MODEL names" if version.base_id is None else "has no files here"
            raise Conflict(f"{name} {why}. Only adapters answer beside the live version.", code="version_gone")
        if live is None or live.root != version.root:
            raise Conflict(f"{name} belongs to other base weights than those running.", code="adapter_wrong_base")
        overridden = _pass_gate(name, reason=reason) if stage == ModelVersion.Stage.CANARY else False
        ModelVersion.objects.filter(stage=stage).exclude(pk=version.pk).update(stage="", canary_percent=0)
        ModelVersion.objects.filter(pk=version.pk).update(stage=stage, canary_percent=percent)
        _note(stage, version, previous=live, by=by, percent=percent, reason=reason, overridden=overridden)
    version.refresh_from_db()
    return version


def _lock() -> None:
    """One promotion at a time. Rows are locked in the order versions.make_live locks them."""
    list(ModelVersion.objects.select_for_update().order_by("pk").values_list("pk", flat=True))


def _get(name: str) -> ModelVersion:
    version = ModelVersion.objects.select_related("base").filter(name=name).first()
    if version is None:
        raise NotFound(f"No version is called {name}.", code="unknown_version")
    return version


def _note(
    kind: str,
    version: ModelVersion,
    *,
    previous: ModelVersion | None = None,
    by: AbstractBaseUser | None = None,
    percent: int = 0,
    reason: str = "",
    overridden: bool = False,
) -> None:
    Promotion.objects.create(
        kind=kind,
        version=version,
        previous=previous,
        percent=percent,
        reason=reason.strip()[:500],
        overridden=overridden,
        by_id=by.pk if by else None,
    )
    former = previous.name if previous else ""
    detail: dict[str, audit.Value] = {"kind": kind, "former": former[:100], "percent": percent, "overridden": overridden}
    audit.record(by.pk if by else None, "version.staged", f"version {version.name}", detail)
    log_event("version.staged", version=version.name, kind=kind, previous=former, percent=percent)
