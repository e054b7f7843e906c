"""`manage.py exportperson ID`: everything held of a person, as JSON lines."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot.errors import ChatbotError
from chatbot.learning.persons import access_customer, everything_of


class Command(BaseCommand):
    help = "Write everything held of a customer, one JSON line a thing. ID: of the customer or of one of his conversations."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=uuid.UUID)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            customer = access_customer(options["id"])
        except ChatbotError as error:
            raise CommandError(str(error)) from error
        for row in everything_of(customer):
            self.stdout.write(json.dumps(row, ensure_ascii=False))
