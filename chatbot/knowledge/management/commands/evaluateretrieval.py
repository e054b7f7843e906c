"""manage.py evaluateretrieval FAQS QUESTIONS --out results.jsonl: how well would these FAQs be found?

Works on a scratch index in memory, by the code that serves customers; no database is read or written.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from chatbot.answering.decisions import decide
from chatbot.knowledge.embedding import default_embedder
from chatbot.knowledge.evaluation import (
    Figures,
    Outcome,
    RememberingEmbedder,
    figures_of,
    read_questions,
    said_before,
    search_as_served,
)
from chatbot.knowledge.management.commands.importfaqs import read_faqs, read_file
from chatbot.knowledge.models import FaqStatus
from chatbot.knowledge.search_index import SearchIndex


class Command(BaseCommand):
    help = (
        "Search a file of questions in a file of FAQs, in a scratch knowledge base, and print how often the right one is found."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("faqs", type=Path, help="JSONL or CSV, as importfaqs takes it")
        parser.add_argument("questions", type=Path, help='JSONL: {"text", "locale", "expected", "history" (optional)}')
        parser.add_argument("--out", type=Path, required=True, help="one line a question is written here")

    def handle(self, *args: Any, faqs: Path, questions: Path, out: Path, **options: Any) -> None:
        rows = _faq_rows(faqs)
        try:
            asked = read_questions(read_file(questions))
        except ValueError as error:
            raise CommandError(f"{questions}: {error}") from error
        embedder = RememberingEmbedder(default_embedder())
        texts = [text for row in rows for text in (row["question"], *row["phrasings"])]
        texts += [text for question in asked for text in (question["text"], *said_before(question)[-1:])]
        with tqdm(total=len(set(texts)), desc="embedding", unit=" texts", disable=None) as bar:
            embedder.remember(texts, progress=lambda done: bar.update(done))
        index = SearchIndex.from_faqs(rows, embedder, error_budget=settings.ANSWER_ERROR_BUDGET)
        outcomes = []
        for question in tqdm(asked, desc="searching", unit=" questions", disable=None):
            found = search_as_served(index, question)
            outcomes.append(Outcome(question["text"], question.get("expected"), found, decide(found.confidence)))
        try:
            _write(out, outcomes)
        except OSError as error:
            raise CommandError(f"{out}: {error.strerror}") from error
        self._print(figures_of(outcomes), outcomes)
        for line in index.calibration.in_words():
            self.stdout.write(line)
        self._warn_unknown(asked, known={row["key"] for row in rows})

    def _print(self, figures: Figures, outcomes: list[Outcome]) -> None:
        labels = {
            "recall_at_1": "recall@1",
            "recall_at_3": "recall@3",
            "recall_at_5": "recall@5",
            "mrr_at_10": "MRR@10",
            "null_auroc": "null AUROC",
            "refused": "null refused",
            "accepted_at_95": "null accepted where 95 % of the others are",
            "answered": "answered (direct or compose)",
            "wrong": "wrong among answered",
            "direct": "quoted without the model (direct)",
            "wrong_direct": "wrong among quoted",
            "right_and_answered": "right and answered",
        }
        nulls = sum(outcome.expected is None for outcome in outcomes)
        self.stdout.write(f"questions: {len(outcomes)}, of which nothing answers {nulls}")
        values = asdict(figures)
        for name, label in labels.items():
            value = values[name]
            self.stdout.write(f"{label}: " + ("-" if value is None else f"{value * 100:.1f} %"))

    def _warn_unknown(self, asked: list[dict[str, Any]], *, known: set[str]) -> None:
        unknown = {question["expected"] for question in asked if question.get("expected")} - known
        if unknown:
            self.stderr.write(
                f"note: {len(unknown)} expected keys are in no FAQ, for example {sorted(unknown)[0]}; they count as not found"
            )


def _faq_rows(file: Path) -> list[dict[str, Any]]:
    return [
        {
            "key": entry.key,
            "category": entry.text.category,
            "question": entry.text.question,
            "phrasings": entry.text.phrasings,
        }
        for entry in read_faqs(file)
        if (entry.status or FaqStatus.PUBLISHED) == FaqStatus.PUBLISHED
    ]


def _write(out: Path, outcomes: list[Outcome]) -> None:
    with out.open("w", encoding="utf-8") as stream:
        for outcome in outcomes:
            stream.write(json.dumps(outcome.as_line(), ensure_ascii=False) + "\n")
