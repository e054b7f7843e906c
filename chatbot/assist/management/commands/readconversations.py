"""`manage.py readconversations`: sentiment and topic of conversations from before the classifiers, all at once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from chatbot.assist import reading
from chatbot.knowledge.indexing import serving_embedder
from chatbot.knowledge.models import KnowledgeIndex


class Command(BaseCommand):
    help = (
        "Read every conversation whose newest messages have no sentiment and topic yet. Angry ones that are open call a person."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        count = reading.catch_up(embedder=serving_embedder(KnowledgeIndex.objects.first()), everything=True)
        self.stdout.write(f"{count} conversations read")
