"""`manage.py evaluateclassifiers`: how often sentiment, anger and topic are right, beside always guessing the commonest."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot.assist import evaluating
from chatbot.assist.evaluating import Score
from chatbot.assist.heads import HeadError
from chatbot.assist.reading import ANGER_AT
from chatbot.errors import ChatbotError
from chatbot.knowledge.indexing import serving_embedder
from chatbot.knowledge.models import KnowledgeIndex


class Command(BaseCommand):
    help = "Measure the classifiers on texts they have not learnt from. Prints a table and one JSON line a measure."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--sentiment", type=Path, help='your own sentences: {"text", "label", "locale"} a line')
        parser.add_argument("--questions", type=Path, help='test questions with their FAQ: {"text", "expected", "locale"} a line')

    def handle(self, *args: Any, sentiment: Path | None, questions: Path | None, **options: Any) -> None:
        embedder = serving_embedder(KnowledgeIndex.objects.first())
        try:
            anger = evaluating.of_anger(embedder, held_out=sentiment)
            scores = [evaluating.of_sentiment(embedder, held_out=sentiment), *evaluating.of_topics(embedder, questions=questions)]
        except (HeadError, ChatbotError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{'':32}{'texts':>7}{'accuracy':>10}{'commonest':>11}{'macro F1':>10}")
        for score in scores:
            self.stdout.write(
                f"{score.name:32}{score.texts:>7}{score.accuracy:>10.1%}{score.majority:>11.1%}{score.macro_f1:>10.2f}"
            )
        for one in anger:
            self.stdout.write(
                f"{one.name}: {one.reached} of {one.texts} texts reach {ANGER_AT}, {one.right} of them are angry; "
                f"{one.right} of {one.angry} angry ones reach it"
            )
            self.stdout.write(json.dumps(asdict(one)))
        for score in scores:
            self._details(score)
            line = asdict(score) | {"errors": [[*pair, count] for pair, count in score.errors.items()]}
            self.stdout.write(json.dumps(line, ensure_ascii=False))

    def _details(self, score: Score) -> None:
        self.stdout.write(f"\n{score.name}")
        for label, recall in score.recalls.items():
            self.stdout.write(f"  {label:28} found {recall:>6.1%}   right when said {score.precisions.get(label, 0):>6.1%}")
        told = ", ".join(f"{locale} {accuracy:.0%} of {count}" for locale, (count, accuracy) in score.locales.items())
        self.stdout.write(f"  languages: {told}")
