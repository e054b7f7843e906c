"""Which weights answer. A row a loaded model; replies name theirs for ever."""

from __future__ import annotations

from django.db import models


class ModelVersion(models.Model):
    """Weights that have answered in this house, as their manifest describes them."""

    name = models.CharField(max_length=120, unique=True)
    source = models.CharField(max_length=300, blank=True, default="")
    licence = models.CharField(max_length=100, blank=True, default="")
    weights_sha256 = models.CharField(max_length=64, blank=True, default="")
    size_bytes = models.BigIntegerField(default=0)
    first_loaded_at = models.DateTimeField(auto_now_add=True)
    last_loaded_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name
