"""Which weights answer. A row a version; replies name theirs for ever, so rows stay when files go."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q


class ModelVersion(models.Model):
    """Base weights, or an adapter on them, as their manifest describes them. A name means the same bytes for ever."""

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

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["is_live"], name="model_version_one_live", condition=Q(is_live=True)),
            models.CheckConstraint(name="model_version_live_has_time", condition=Q(is_live=False) | Q(live_since__isnull=False)),
            models.CheckConstraint(
                name="model_version_live_adapter_has_files", condition=~Q(is_live=True, folder="", base__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def kind(self) -> str:
        return "base" if self.base_id is None else "adapter"

    @property
    def root(self) -> ModelVersion:
        """The base weights it runs on: its own, or those its adapter belongs to."""
        return self.base or self
