"""What every command about one customer begins with."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot.conversations.models import Customer
from chatbot.errors import ChatbotError
from chatbot.learning.persons import access_customer


class CustomerCommand(BaseCommand, ABC):
    """Find the customer, and leave what is done with him to `handle_customer`."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=uuid.UUID, help="of the customer or of one of his conversations")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            customer = access_customer(options["id"])
        except ChatbotError as error:
            raise CommandError(str(error)) from error
        self.handle_customer(customer, **options)

    @abstractmethod
    def handle_customer(self, customer: Customer, **options: Any) -> None:
        """Do what the command is for."""
