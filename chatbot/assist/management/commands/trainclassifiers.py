"""`manage.py trainclassifiers`: learn sentiment and topics anew."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatbot.assist import classifiers
from chatbot.assist.heads import HeadError
from chatbot.knowledge.indexing import serving_embedder
from chatbot.knowledge.models import KnowledgeIndex


class Command(BaseCommand):
    help = "Learn what customers feel (from sentences in the product) and speak of (from your FAQs' categories). Takes seconds."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = classifiers.train(serving_embedder(KnowledgeIndex.objects.first()))
        except (HeadError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"sentiment: {', '.join(made.sentiment.labels)}")
        topics = ", ".join(made.topic.labels) if made.topic else "none yet; they need FAQs in two categories or more"
        self.stdout.write(f"topics: {topics}\nkept in {classifiers.folder()}; running workers use them from the next message on")
