"""`manage.py workeralive`: the health check of a generation worker's container."""

from __future__ import annotations

import socket
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatbot import runtime


class Command(BaseCommand):
    help = "Succeed when a generation worker on this host has announced itself within the last seconds."

    def handle(self, *args: Any, **options: Any) -> None:
        here = [worker for worker in runtime.workers() if worker.name.startswith(f"{socket.gethostname()}:")]
        if not here:
            raise CommandError("No generation worker of this host has announced itself: still loading, or gone. See its log.")
        self.stdout.write(f"{here[0].name}: {here[0].model_version}, {here[0].running} running, {here[0].waiting} waiting")
