"""`manage.py exportversion NAME FOLDER`: an adapter with its lineage and a model card, to carry elsewhere."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatbot.engine.requests import EngineError
from chatbot.errors import ChatbotError
from chatbot.releases.exporting import export_version


class Command(BaseCommand):
    help = "Write a version into a new folder: weights, lineage and model card; `addadapter` brings it in elsewhere."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="one of `manage.py versions`")
        parser.add_argument("folder", type=Path, help="a folder that does not exist yet")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(f"{export_version(options['name'], options['folder'])}")
        except (EngineError, ChatbotError) as error:
            raise CommandError(f"{error} [{error.code}]") from error
