"""Which weights answer. A row a version; replies name theirs for ever, so rows stay when files go."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q


class ModelVersion(models.Model):
    """Base weights, or an adapter on them, as their manifest describes them. A name means the same bytes for ever."""

    class Stage(models.TextChoices):
        SHADOW = "shadow", "Answers in the shadow: logged, not shown"
        CANARY = "canary", "Answers a share of the conversations"

    name = models.CharField(max_length=120, unique=True)
    # The weights an adapter belongs to; none for base weights.
    base = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="adapters")
    # Of an adapter below MODELS_DIR, of base weights where they were loaded from; empty once the files are gone.
    folder = models.CharField(max_length=500, blank=True, default="")
    # Name to {"sha256", "size_bytes"}.
    files = models.JSONField(default=dict, blank=True)
    source = models.CharField(max_length=300, blank=True, default="")
    licence = models.CharField(max_length=100, blank=True, default="")
    weights_sha256 = models.CharField(max_length=64, blank=True, default="")
    size_bytes = models.BigIntegerField(default=0)
    is_live = models.BooleanField(default=False)
    live_since = models.DateTimeField(null=True, blank=True)
    # Why the last worker that tried could not load it; empty after one could.
    load_error = models.CharField(max_length=40, blank=True, default="")
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    added_at = models.DateTimeField(auto_now_add=True)
    last_loaded_at = models.DateTimeField(null=True, blank=True)
    # Beside the live version: one may answer in the shadow, and one a share of the conversations.
    stage = models.CharField(max_length=6, choices=Stage.choices, blank=True, default="")
    canary_percent = models.PositiveSmallIntegerField(default=0)
    # Where it came from: dataset, run, options, library versions, code commit. trained_on: hashes of the lines it has seen.
    lineage = models.JSONField(default=dict, blank=True)
    trained_on = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["is_live"], name="model_version_one_live", condition=Q(is_live=True)),
            models.UniqueConstraint(
                fields=["stage"], name="model_version_one_a_stage", condition=Q(stage__in=["shadow", "canary"])
            ),
            models.CheckConstraint(
                name="model_version_canary_has_share", condition=~Q(stage="canary") | Q(canary_percent__range=(1, 50))
            ),
            models.CheckConstraint(name="model_version_live_has_no_stage", condition=Q(is_live=False) | Q(stage="")),
            models.CheckConstraint(name="model_version_live_has_time", condition=Q(is_live=False) | Q(live_since__isnull=False)),
            models.CheckConstraint(
                name="model_version_live_adapter_has_files", condition=~Q(is_live=True, folder="", base__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def kind(self) -> str:
        return "adapter" if self.base_id else "merged" if self.merged_from else "base"

    @property
    def merged_from(self) -> str:
        """The adapter that these whole weights hold (merging.py); empty for adapters, and for weights as they were published."""
        return "" if self.base_id else str(self.lineage.get("adapter", ""))

    @property
    def root(self) -> ModelVersion:
        """The base weights it runs on: its own, or those its adapter belongs to."""
        return self.base or self


class Promotion(models.Model):
    """One step of a version towards the customers, or back. The newest of kind LIVE says who answers now and who did before."""

    class Kind(models.TextChoices):
        SHADOW = "shadow", "Into the shadow"
        CANARY = "canary", "To a share of the conversations"
        LIVE = "live", "Live"
        WITHDRAWN = "withdrawn", "Withdrawn"
        RETURNED = "returned", "Withdrawn by itself: it did worse"
        ROLLED_BACK = "rolled_back", "Rolled back"

    kind = models.CharField(max_length=12, choices=Kind.choices)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="promotions")
    previous = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    percent = models.PositiveSmallIntegerField(default=0)
    # Why it went on although the gate refused it; or which figure brought it back.
    reason = models.CharField(max_length=500, blank=True, default="")
    overridden = models.BooleanField(default=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(name="promotion_override_has_reason", condition=Q(overridden=False) | ~Q(reason="")),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} {self.kind}"


class Evaluation(models.Model):
    """A candidate held against another version on the same frozen questions. passed: what the gate said."""

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="evaluations")
    against = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    dataset = models.CharField(max_length=80)
    data_sha256 = models.CharField(max_length=64)
    table = models.JSONField(default=dict)
    verdict = models.JSONField(default=dict)
    passed = models.BooleanField(default=False)
    seconds = models.FloatField(default=0.0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.version_id} against {self.against_id}"


class Job(models.Model):
    """What a worker was asked to do with a version, and how it ended: the page that asked must not wait for nothing (jobs.py)."""

    class Kind(models.TextChoices):
        COMPARE = "compare", "Comparison"
        MERGE = "merge", "Merging"

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting for a worker"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    kind = models.CharField(max_length=7, choices=Kind.choices)
    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="jobs")
    # The dataset whose held-out questions are asked; empty where none are.
    dataset = models.CharField(max_length=80, blank=True, default="")
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.WAITING)
    error = models.CharField(max_length=40, blank=True, default="")
    error_text = models.CharField(max_length=500, blank=True, default="")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    asked_at = models.DateTimeField(auto_now_add=True)
    began_at = models.DateTimeField(null=True, blank=True)
    # The last sign of life of the worker that has it.
    beat_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["version"], name="version_job_one_at_a_time", condition=Q(status__in=["waiting", "running"])
            ),
            models.CheckConstraint(
                name="version_job_ended_has_time", condition=Q(status__in=["waiting", "running"]) | Q(ended_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.version_id}"

    @property
    def is_active(self) -> bool:
        return self.status in (self.Status.WAITING, self.Status.RUNNING)


class ShadowAnswer(models.Model):
    """What the version in the shadow would have said. Nobody was shown it."""

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="shadow_answers")
    # Of chatbot.conversations, which this room does not know; the answer goes with the generation (learning/shadowing.py).
    generation_id = models.BigIntegerField(unique=True)
    text = models.TextField(blank=True, default="")
    decision = models.CharField(max_length=10, blank=True, default="")
    total_ms = models.FloatField(default=0.0)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"shadow answer to generation {self.generation_id}"
