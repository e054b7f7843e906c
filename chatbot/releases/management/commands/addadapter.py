"""`manage.py addadapter FOLDER --name NAME`: list a LoRA adapter of the running base weights."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatbot.engine.requests import EngineError
from chatbot.errors import ChatbotError
from chatbot.releases import versions


class Command(BaseCommand):
    help = "Check a LoRA adapter in peft's format and copy it into MODELS_DIR. It answers nothing until `golive NAME`."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="the folder peft saved the adapter to")
        parser.add_argument("--name", required=True, help="what replies will name it; given once, for ever")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            version = versions.add_adapter(options["folder"], name=options["name"])
        except (EngineError, ChatbotError) as error:
            raise CommandError(f"{error} [{error.code}]") from error
        self.stdout.write(f"{version} is listed as an adapter of {version.root}. `manage.py golive {version}` lets it answer.")
