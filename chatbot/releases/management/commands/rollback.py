"""`manage.py rollback`: let the version answer that answered before."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatbot.engine.requests import EngineError
from chatbot.errors import ChatbotError
from chatbot.releases import stages


class Command(BaseCommand):
    help = "Let the version that was live before the last promotion answer again. Workers follow within seconds."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            version = stages.roll_back()
        except (EngineError, ChatbotError) as error:
            raise CommandError(f"{error} [{error.code}]") from error
        self.stdout.write(f"{version} answers again.")
