"""`manage.py eraseperson ID`: a customer and all that is held of him, gone for good."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from chatbot.conversations.models import Customer
from chatbot.learning.management.customer_command import CustomerCommand
from chatbot.learning.persons import erase_person


class Command(CustomerCommand):
    help = "Erase a customer with all conversations, ratings and training examples."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle_customer(self, customer: Customer, **options: Any) -> None:
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
