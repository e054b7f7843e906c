"""`manage.py eraseperson ID`: a customer and all that is held of him, gone for good."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot.errors import ChatbotError
from chatbot.learning.persons import access_customer, erase_person


class Command(BaseCommand):
    help = "Erase a customer with all conversations, ratings and training examples. ID: his, or of one of his conversations."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=uuid.UUID)
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            customer = access_customer(options["id"])
        except ChatbotError as error:
            raise CommandError(str(error)) from error
        count, customer_id = customer.conversations.count(), customer.pk
        if (
            not options["yes"]
            and input(f"Erase customer {customer_id} with {count} conversations for ever? [y/N] ").lower() != "y"
        ):
            raise CommandError("nothing was erased")
        forgotten = erase_person(customer)
        self.stdout.write(f"erased: customer {customer_id}, {count} conversations, {forgotten.examples} training examples")
        if forgotten.versions:
            self.stdout.write(f"have learnt from his words: {', '.join(forgotten.versions)}")
            self.stdout.write(
                "those that answer customers are trained anew tonight, the others under Releases > Training"
                if settings.RETRAIN_AFTER_ERASURE
                else "train them anew under Releases > Training"
            )
