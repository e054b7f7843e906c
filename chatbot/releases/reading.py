"""What the release desk shows of versions. Reads only; the caller has checked the right."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet

from chatbot.errors import NotFound
from chatbot.releases import stages, versions
from chatbot.releases.models import Evaluation, ModelVersion, Promotion


@dataclass(frozen=True)
class Listed:
    """evaluation: the newest one, whatever was live then. current: whether it was held against what is live now."""

    version: ModelVersion
    evaluation: Evaluation | None
    current: bool


def list_versions() -> list[Listed]:
    """Live first, then what is in a stage, then the newest."""
    live = versions.live_version()
    evaluations = Prefetch("evaluations", queryset=Evaluation.objects.select_related("against"))
    rows = ModelVersion.objects.select_related("base", "added_by").prefetch_related(evaluations)
    found = sorted(rows, key=lambda row: (not row.is_live, not row.stage, -row.pk))
    return [_listed(row, live=live) for row in found]


def _listed(row: ModelVersion, *, live: ModelVersion | None) -> Listed:
    newest = next(iter(row.evaluations.all()), None)
    return Listed(row, newest, bool(newest and live and newest.against_id == live.pk))


def access_version(version_id: int) -> ModelVersion:
    """Raises NotFound."""
    version = ModelVersion.objects.select_related("base", "added_by").filter(pk=version_id).first()
    if version is None:
        raise NotFound("This version does not exist.", code="unknown_version")
    return version


def access_evaluation(evaluation_id: int) -> Evaluation:
    """Raises NotFound."""
    found = Evaluation.objects.select_related("version__base", "against").filter(pk=evaluation_id).first()
    if found is None:
        raise NotFound("This comparison does not exist.", code="unknown_evaluation")
    return found


def evaluations_of(version: ModelVersion) -> QuerySet[Evaluation]:
    """Newest first."""
    return version.evaluations.select_related("against")


def promotions(version: ModelVersion | None = None) -> QuerySet[Promotion]:
    """Newest first; of one version, or of all."""
    rows = Promotion.objects.select_related("version", "previous", "by")
    return rows.filter(version=version) if version else rows


def adapter_of(merged: ModelVersion) -> ModelVersion | None:
    """The row of the adapter that merged weights hold, if this installation knows it."""
    return ModelVersion.objects.select_related("base").filter(name=merged.merged_from).first() if merged.merged_from else None


def rollback_target() -> ModelVersion | None:
    """What stages.roll_back() would bring back."""
    live = versions.live_version()
    last = Promotion.objects.filter(kind__in=[Promotion.Kind.LIVE, Promotion.Kind.ROLLED_BACK]).select_related("previous").first()
    return last.previous if live and last and last.version_id == live.pk else None


def needs_reason(version: ModelVersion) -> bool:
    """Whether the gate stands between a version and the customers: it has not passed, and was never live."""
    if version.base_id is None or version.live_since is not None:
        return False
    evaluation = stages.last_evaluation(version)
    return not (evaluation and evaluation.passed)
