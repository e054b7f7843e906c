"""`manage.py firstanswer`: prove that the whole path works, from a stored message to a finished reply by the model."""

from __future__ import annotations

import time
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatbot import runtime
from chatbot.conversations import intake
from chatbot.conversations.models import Customer, Message

TIMEOUT_S = 180


class Command(BaseCommand):
    help = "Ask one question through the real path (database, broker, worker, model), wait for its reply, and remove both."

    def handle(self, *args: Any, **options: Any) -> None:
        visitor = uuid.uuid4()
        try:
            reply = self._ask(visitor)
        finally:
            Customer.objects.filter(pk=visitor).delete()
        if reply.status != Message.Status.COMPLETE:
            raise CommandError(
                f"The first answer ended as {reply.status} ({reply.error or 'time-out'}). See the generation worker's log."
            )
        self.stdout.write(f"{reply.decision}: {reply.text}")

    def _ask(self, visitor: uuid.UUID) -> Message:
        first, second, *_ = runtime.company().suggestions_for("en")
        accepted = intake.post_customer_message(f"{first} {second}", customer_id=visitor, client_message_id=uuid.uuid4())
        assert accepted.reply is not None
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            reply = Message.objects.get(pk=accepted.reply.id)
            if reply.status != Message.Status.PENDING:
                break
            time.sleep(0.2)
        return reply
