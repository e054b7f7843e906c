"""`manage.py withdrawconsent ID`: a customer's words train no model from now on."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot.errors import ChatbotError
from chatbot.learning.approving import withdraw_consent
from chatbot.learning.persons import access_customer


class Command(BaseCommand):
    help = "Keep a customer's words out of every new dataset. ID: of the customer or of one of his conversations."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=uuid.UUID)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            customer = access_customer(options["id"])
        except ChatbotError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{withdraw_consent(customer.pk)} examples will enter no new dataset")
