"""Versions that have learnt from what was erased since, and their training anew without it.

Nothing of this is stored: a version knows the hashes of the lines it has learnt from, its dataset those that are left. So a run
that was under way when somebody was erased shows up as soon as its version is listed, and one made without the lines never does.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from chatbot.errors import Conflict, NotFound
from chatbot.learning import runs, sweeping
from chatbot.learning.models import DatasetLine, TrainingRun
from chatbot.releases import versions
from chatbot.releases.models import ModelVersion


@dataclass(frozen=True)
class Tainted:
    """A version that learnt from `examples` lines which were erased since.

    source: the run that made it, or the adapter that it holds merged. retraining: the newest run that makes it anew.
    """

    version: ModelVersion
    examples: int
    source: TrainingRun
    retraining: TrainingRun | None

    @property
    def under_way(self) -> bool:
        return self.retraining is not None and self.retraining.is_active


def tainted() -> list[Tainted]:
    """Newest first. Versions whose files are gone tell nobody anything, and of those made elsewhere nothing was erased here."""
    found = []
    for version in ModelVersion.objects.exclude(folder="").exclude(trained_on=[]).order_by("-pk"):
        made = TrainingRun.objects.filter(version__name=version.merged_from or version.name)
        source = made.select_related("dataset", "base").first()
        if source is not None and (erased := _erased(version)):
            retraining = version.retrainings.select_related("version").first()
            found.append(Tainted(version, len(erased), source, retraining))
    return found


def _erased(version: ModelVersion) -> set[str]:
    """What it has learnt from and no dataset has any more: lines leave a dataset only when a person is erased."""
    left = DatasetLine.objects.filter(sha256__in=version.trained_on).values_list("sha256", flat=True)
    return set(version.trained_on).difference(left)


def retrain(version_id: int, *, by_id: int | None = None, enqueue: Any = None) -> TrainingRun:
    """Put a run in line that does what made this version, from the same dataset without the erased lines.

    Raises NotFound where nothing of it was erased, Conflict where such a run is under way or cannot be clean.
    """
    one = next((one for one in tainted() if one.version.pk == version_id), None)
    if one is None:
        raise NotFound("Nothing that this version has learnt from was erased.", code="nothing_to_retrain")
    source, live = one.source, versions.live_version()
    if _erased(source.base):
        told = f"Its base weights, {source.base}, have learnt from what was erased too: train those anew first."
        raise Conflict(told, code="base_tainted")
    if live is not None and live.root != source.base:
        told = f"It was made on {source.base}, and {live.root} is running: set MODEL={source.base} and restart the workers first."
        raise Conflict(told, code="adapter_wrong_base")
    try:
        with transaction.atomic():
            return runs.start(
                source.dataset,
                method=source.method,
                options=source.options,
                by_id=by_id,
                enqueue=enqueue,
                retrains=one.version,
            )
    except IntegrityError as error:
        raise Conflict(f"{one.version} is being trained anew already.", code="retraining_under_way") from error


def retrain_at_night() -> list[int]:
    """Start what answers customers, or is on its way to them, anew; returns the runs' ids. Called every hour.

    At night, so that the erasures of a day share one training. What has failed waits for somebody to look at it.
    """
    if not settings.RETRAIN_AFTER_ERASURE or not sweeping.is_night(timezone.now()):
        return []
    found = tainted()
    unclean = {one.version.pk for one in found}
    begun = []
    for one in found:
        answers = one.version.is_live or one.version.stage
        if answers and (one.retraining is None or one.retraining.version_id in unclean):
            with contextlib.suppress(Conflict):  # the release desk says it to whoever clicks
                begun.append(retrain(one.version.pk).pk)
    return begun
