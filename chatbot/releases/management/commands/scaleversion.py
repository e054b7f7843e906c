"""`manage.py scaleversion NAME --strength 0.7`: an adapter at less than its full strength, as a version of its own."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatbot.engine.requests import EngineError
from chatbot.errors import ChatbotError
from chatbot.releases import scaling, versions


class Command(BaseCommand):
    help = (
        "List an adapter again at a share of its strength, for one that learnt its lessons and forgot others: less of both. "
        "Compare it with the live version in the release desk before it answers."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="an adapter of `manage.py versions`")
        parser.add_argument("--strength", type=float, default=0.7, help="between 0 (the base weights) and 1 (%(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            version = scaling.scaled(versions.access_version(options["name"]), strength=options["strength"])
        except (EngineError, ChatbotError) as error:
            raise CommandError(f"{error} [{error.code}]") from error
        self.stdout.write(f"{version} is listed as an adapter of {version.root}.")
