"""`manage.py exportperson ID`: everything held of a person, as JSON lines."""

from __future__ import annotations

import json
from typing import Any

from chatbot.conversations.models import Customer
from chatbot.learning.management.customer_command import CustomerCommand
from chatbot.learning.persons import everything_of


class Command(CustomerCommand):
    help = "Write everything held of a customer, one JSON line a thing."

    def handle_customer(self, customer: Customer, **options: Any) -> None:
        for row in everything_of(customer):
            self.stdout.write(json.dumps(row, ensure_ascii=False))
