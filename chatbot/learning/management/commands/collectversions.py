"""`manage.py collectversions`: free the disk of adapters that nobody needs any more."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from chatbot.conversations.models import Generation
from chatbot.releases import exporting


class Command(BaseCommand):
    help = "Take away the files of adapters that are not live, in no stage, no rollback's target and named by no message."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say which")

    def handle(self, *args: Any, **options: Any) -> None:
        used = set(Generation.objects.exclude(model_version="").values_list("model_version", flat=True).distinct())
        if options["dry_run"]:
            names = [version.name for version in exporting.garbage(used)]
            self.stdout.write(f"{len(names)} would go: {', '.join(names) or 'none'}")
            return
        names, freed = exporting.collect(used)
        self.stdout.write(f"{len(names)} taken away ({freed / 2**20:.1f} MiB): {', '.join(names) or 'none'}")
