"""`manage.py withdrawconsent ID`: a customer's words train no model from now on."""

from __future__ import annotations

from typing import Any

from chatbot.conversations.models import Customer
from chatbot.learning.approving import withdraw_consent
from chatbot.learning.management.customer_command import CustomerCommand


class Command(CustomerCommand):
    help = "Keep a customer's words out of every new dataset."

    def handle_customer(self, customer: Customer, **options: Any) -> None:
        self.stdout.write(f"{withdraw_consent(customer.pk)} examples will enter no new dataset")
