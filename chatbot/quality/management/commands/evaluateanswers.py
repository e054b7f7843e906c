"""manage.py evaluateanswers QUESTIONS --out answers.jsonl: answer a file of questions by the live pipeline, one line each."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from chatbot import runtime
from chatbot.answering.answers import Search
from chatbot.documents.search import search_all
from chatbot.engine.requests import Engine, EngineError
from chatbot.errors import ChatbotError
from chatbot.knowledge.embedding import default_embedder
from chatbot.knowledge.management.commands.importfaqs import read_faqs, read_file
from chatbot.quality import scratch
from chatbot.quality.asked import Asked, read_asked
from chatbot.quality.judging import judged_line, summary, table
from chatbot.quality.scratch import ScratchKnowledge
from chatbot.quality.several import in_order
from chatbot.quality.trying import try_patiently


class Command(BaseCommand):
    help = (
        "Answer a file of questions as the chat would, apart from any conversation, one JSON line each, and print how many were "
        "right. Knowledge: the published FAQs, or with --knowledge those of a file, held in memory; no row is written."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("questions", type=Path, help='JSONL: {"text", "locale"?, "history"?, "expected"?}')
        parser.add_argument("--out", type=Path, required=True, help="one line a question is written here, in their order")
        parser.add_argument("--knowledge", type=Path, help="a FAQ file (JSONL or CSV) instead of the live knowledge")
        parser.add_argument("--limit", type=int, help="only the first N questions")
        parser.add_argument("--workers", type=int, default=settings.MODEL_MAX_RUNNING, help="questions at once (%(default)s)")
        parser.add_argument(
            "--compose", action="store_true", help="let the model write also what would be quoted, to try the checks"
        )
        parser.add_argument("--resume", action="store_true", help="keep the lines --out has already and go on after them")
        parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")

    def handle(self, *args: Any, questions: Path, out: Path, **options: Any) -> None:
        try:
            asked = read_asked(read_file(questions))[: options["limit"]]
        except ChatbotError as error:
            raise CommandError(f"{questions}: {error.message}") from error
        done = _lines_of(out, asked) if options["resume"] else []
        search = knowledge_of(options["knowledge"]).search if options["knowledge"] else search_all
        engine = self._engine()
        begun = time.monotonic()
        try:
            with out.open("a" if done else "w", encoding="utf-8") as stream:
                answers = _answers(
                    asked[len(done) :],
                    search=search,
                    engine=engine,
                    workers=max(1, options["workers"]),
                    may_quote=not options["compose"],
                )
                for line in tqdm(answers, total=len(asked) - len(done), desc="answering", unit=" questions", disable=None):
                    stream.write(json.dumps(line, ensure_ascii=False) + "\n")
                    stream.flush()
                    done.append(line)
        except OSError as error:
            raise CommandError(f"{out}: {error.strerror}") from error
        except EngineError as error:
            raise CommandError(f"The model stopped answering ({error.code}); --resume goes on after what {out} has.") from error
        finally:
            engine.stop()
        figures = summary([judged_line(line, judged=one.judged) for line, one in zip(done, asked, strict=True)])
        figures |= {"model": engine.model_version, "wall_s": round(time.monotonic() - begun, 1)}
        self.stdout.write(json.dumps(figures) if options["json"] else table(figures))

    def _engine(self) -> Engine:
        begun = time.monotonic()
        self.stderr.write("Loading the model ...")
        try:
            engine = runtime.engine()
        except EngineError as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"Loaded {engine.model_version} in {time.monotonic() - begun:.1f} s.")
        return engine


def knowledge_of(file: Path) -> ScratchKnowledge:
    """The FAQs of a file, held in memory. Raises CommandError."""
    entries = read_faqs(file)
    texts = len({text for entry in entries for text in (entry.text.question, *entry.text.phrasings)})
    with tqdm(total=texts, desc="embedding", unit=" texts", disable=None) as bar:
        return scratch.of_entries(entries, embedder=default_embedder(), progress=bar.update)


def _answers(asked: list[Asked], *, search: Search, engine: Engine, workers: int, may_quote: bool) -> Iterator[dict[str, Any]]:
    def one(question: Asked) -> dict[str, Any]:
        return try_patiently(question, search=search, engine=engine, may_quote=may_quote).as_line()

    return in_order(one, asked, workers=workers)


def _lines_of(out: Path, asked: list[Asked]) -> list[dict[str, Any]]:
    """The whole lines of an earlier run over the same questions. Raises CommandError when they are of others."""
    if not out.exists():
        return []
    text = out.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        out.write_text(whole, encoding="utf-8")
    lines = [json.loads(line) for line in whole.splitlines()][: len(asked)]
    if [line["text"] for line in lines] != [one.text for one in asked[: len(lines)]]:
        raise CommandError(f"{out} holds answers to other questions; leave --resume out to begin anew")
    return lines
