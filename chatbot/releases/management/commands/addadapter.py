"""`manage.py addadapter FOLDER --name NAME`: list a LoRA adapter of the running base weights, or an exported version."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatbot.engine.requests import EngineError
from chatbot.errors import ChatbotError
from chatbot.releases import exporting


class Command(BaseCommand):
    help = (
        "Check a LoRA adapter in peft's format, or a version that `exportversion` wrote, and copy it into MODELS_DIR. "
        "It answers nothing until `golive NAME`; merged weights until MODEL names them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="the folder peft saved the adapter to, or an exported one")
        parser.add_argument("--name", required=True, help="what replies will name it; given once, for ever")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            version = exporting.import_version(options["folder"], name=options["name"])
        except (EngineError, ChatbotError) as error:
            raise CommandError(f"{error} [{error.code}]") from error
        if version.base_id is None:
            self.stdout.write(f"{version} is listed. Workers started with MODEL={version} answer with it.")
            return
        self.stdout.write(f"{version} is listed as an adapter of {version.root}. `manage.py golive {version}` lets it answer.")
