"""`manage.py forgetadapter NAME`: take an adapter's files away; its name stays with the answers it wrote."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatbot.errors import ChatbotError
from chatbot.releases import versions


class Command(BaseCommand):
    help = "Delete the files of an adapter that is not live. Workers drop it; the list keeps its row."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="one of `manage.py versions`")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            version = versions.forget(options["name"])
        except ChatbotError as error:
            raise CommandError(f"{error} [{error.code}]") from error
        self.stdout.write(f"The files of {version} are gone. Adding the same adapter under the same name brings it back.")
