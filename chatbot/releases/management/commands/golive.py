"""`manage.py golive NAME`: let a version answer from now on."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatbot.engine.requests import EngineError
from chatbot.errors import ChatbotError
from chatbot.releases import stages


class Command(BaseCommand):
    help = (
        "Let a version answer everything asked from now on. Workers follow within seconds; running answers end on theirs. "
        "The gate must have passed it, or it was live before, or --reason says why it goes on all the same (audit log)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="one of `manage.py versions`")
        parser.add_argument("--reason", default="", help="why it goes live although the gate has not passed it; it is kept")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            version = stages.to_live(options["name"], reason=options["reason"])
        except (EngineError, ChatbotError) as error:
            more = (
                f" Here that is --reason, at least {stages.MIN_REASON_CHARS} characters." if error.code == "gate_refused" else ""
            )
            raise CommandError(f"{error}{more} [{error.code}]") from error
        self.stdout.write(
            f"{version} is live. /readyz names what each worker answers with; `manage.py versions` tells of faults."
        )
