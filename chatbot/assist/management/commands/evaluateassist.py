"""`manage.py evaluateassist WHAT`: how well the product sums up, translates, rewrites, drafts and recommends."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot import runtime
from chatbot.assist import evaluating, measuring
from chatbot.assist.heads import HeadError
from chatbot.assist.measuring import Tried
from chatbot.documents.search import search_all
from chatbot.documents.splitting import Passage
from chatbot.engine.requests import Engine, EngineError
from chatbot.errors import ChatbotError
from chatbot.knowledge.embedding import default_embedder
from chatbot.knowledge.management.commands.importfaqs import read_file
from chatbot.quality.asked import Asked, read_asked
from chatbot.quality.models import TestQuestion

KINDS = ("summaries", "translations", "rewrites", "drafts", "faqs", "related")


class Command(BaseCommand):
    help = (
        "Measure one kind of help on a small frozen set: summaries of conversations, translations, rewrites, drafts of replies, "
        "or of FAQs from documents, by the model, or related FAQs on the newest fifth of the conversations. Prints a table and "
        "one JSON line."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=KINDS)
        parser.add_argument("--items", type=int, help="only the first N")
        parser.add_argument("--questions", type=Path, help="of drafts: a file of test questions instead of the suite's")
        parser.add_argument("--document", type=Path, action="append", default=[], help="of faqs: a file as it would be uploaded")
        parser.add_argument("--show", action="store_true", help="print each text that was written")

    def handle(self, *args: Any, what: str, **options: Any) -> None:
        try:
            figures = self._related() if what == "related" else self._written(what, **options)
        except (ChatbotError, EngineError, HeadError) as error:
            raise CommandError(str(error)) from error
        for name, value in figures.items():
            if isinstance(value, float):
                self.stdout.write(f"{name:24}{value:10.2f}")
        self.stdout.write(json.dumps({"what": what, **figures}, ensure_ascii=False))

    def _related(self) -> dict[str, Any]:
        return {name: float(value) for name, value in asdict(evaluating.of_related()).items()}

    def _written(
        self, what: str, *, items: int | None, questions: Path | None, document: list[Path], show: bool, **options: Any
    ) -> dict[str, Any]:
        asked = _questions(questions)[:items] if what == "drafts" else []
        passages = _passages(document)[:items] if what == "faqs" else []
        engine = self._engine()
        try:
            if what == "drafts":
                tried = measuring.try_drafts(engine, items=asked, search=search_all)
            elif what == "faqs":
                tried = measuring.try_faq_drafts(engine, items=passages, embedder=default_embedder())
            else:
                way = {
                    "summaries": measuring.try_summaries,
                    "translations": measuring.try_translations,
                    "rewrites": measuring.try_rewrites,
                }[what]
                tried = way(engine, items=measuring.items_of(what)[:items])
        finally:
            engine.stop()
        for one in tried if show else ():
            self._show(one)
        return {**measuring.averages(tried), "model": engine.model_version}

    def _show(self, one: Tried) -> None:
        self.stdout.write(f"> {one.name}\n{one.text}\n{'' if one.offered else '(not offered)'}")

    def _engine(self) -> Engine:
        began = time.monotonic()
        engine = runtime.engine()
        self.stderr.write(f"Loaded {engine.model_version} in {time.monotonic() - began:.1f} s.")
        return engine


def _questions(path: Path | None) -> list[Asked]:
    """Those with a FAQ that answers them. Raises InvalidInput."""
    asked = read_asked(read_file(path)) if path else [row.asked() for row in TestQuestion.objects.exclude(expected="")]
    found = [one for one in asked if one.expected]
    if not found:
        raise CommandError("There are no test questions with a FAQ; name a file with --questions.")
    return found


def _passages(files: list[Path]) -> list[Passage]:
    """Raises InvalidInput for a file that cannot be read."""
    if not files:
        raise CommandError("Name the documents to draft from, each with --document FILE.")
    return [passage for file in files for passage in measuring.passages_of(file)]
