"""`manage.py golive NAME`: let a version answer from now on."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatbot.engine.requests import EngineError
from chatbot.errors import ChatbotError
from chatbot.releases import versions


class Command(BaseCommand):
    help = "Let a version answer everything asked from now on. Workers follow within seconds; running answers end on theirs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="one of `manage.py versions`")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            version = versions.make_live(options["name"])
        except (EngineError, ChatbotError) as error:
            raise CommandError(f"{error} [{error.code}]") from error
        self.stdout.write(
            f"{version} is live. /readyz names what each worker answers with; `manage.py versions` tells of faults."
        )
