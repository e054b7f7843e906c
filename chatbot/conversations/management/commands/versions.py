"""`manage.py versions`: which weights there are, which answer, and how much each has answered."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Count

from chatbot.conversations.models import Generation
from chatbot.releases.models import ModelVersion

HEADINGS = ("name", "kind", "live since", "added", "answers", "size", "state")


class Command(BaseCommand):
    help = "List the versions that have answered or may answer, with the number of answers each has written."

    def handle(self, *args: Any, **options: Any) -> None:
        counted = Generation.objects.exclude(model_version="").values_list("model_version").annotate(Count("pk")).order_by()
        answers = dict(counted)
        versions = ModelVersion.objects.select_related("base")
        rows = [HEADINGS, *(_row(version, answers=answers.get(version.name, 0)) for version in versions)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
        for row in rows:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(version: ModelVersion, *, answers: int) -> tuple[str, ...]:
    since = version.live_since if version.is_live else None
    return (
        version.name,
        f"adapter of {version.base}" if version.base else f"merged {version.merged_from}" if version.merged_from else "base",
        f"{since:%Y-%m-%d %H:%M}" if since else "-",
        f"{version.added_at:%Y-%m-%d %H:%M}",
        str(answers),
        f"{version.size_bytes / 1e6:.1f} MB",
        _state(version),
    )


def _state(version: ModelVersion) -> str:
    if version.load_error:
        return f"not loaded: {version.load_error}"
    return "files taken away" if version.kind != "base" and not version.folder else "ready"
