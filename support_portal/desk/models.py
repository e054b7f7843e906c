"""What people keep for themselves at the desk."""

from __future__ import annotations

from django.conf import settings
from django.db import models

MAX_VIEWS = 30


class SavedView(models.Model):
    """A list with its filters, under a name, for the person who saved it. `query` is the list's address after the "?"."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=500)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="saved_view_name_once")]

    def __str__(self) -> str:
        return self.name
