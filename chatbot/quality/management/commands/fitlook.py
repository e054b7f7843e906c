"""`manage.py fitlook FAQS QUESTIONS`: teach the second look to read the model that runs here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from chatbot import runtime
from chatbot.answering import look_head
from chatbot.engine.requests import EngineError
from chatbot.errors import ChatbotError
from chatbot.knowledge.management.commands.importfaqs import read_file
from chatbot.quality import looking
from chatbot.quality.asked import read_asked
from chatbot.quality.look_fitting import DEPTH, Looked, figures_of, fit_head
from chatbot.quality.looking import Unread
from chatbot.quality.management.commands.evaluateanswers import knowledge_of

MIN_QUESTIONS = 60


class Command(BaseCommand):
    help = (
        "Fit what reads a second look (docs/decisions/0011) to the base weights of MODEL: needed for any other model than the "
        "default one. Prints how well it tells what answers, on folds it has not seen, beside the model's own word."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("faqs", type=Path, help="a FAQ file, as exportfaqs writes it")
        parser.add_argument("questions", type=Path, help='JSONL: {"text", "locale"?, "history"?, "expected"}')
        parser.add_argument("--phrasings", type=int, default=320, help="of the FAQs' own, each asked once (%(default)s)")
        parser.add_argument("--layer", type=int, help="counted from 0; two thirds of the way up unless told")
        parser.add_argument("--out", type=Path, help="a file; unless told the folder where the workers look for it")
        parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")

    def handle(self, *args: Any, faqs: Path, questions: Path, **options: Any) -> None:
        try:
            asked, knowledge = read_asked(read_file(questions)), knowledge_of(faqs)
            layer = _layer() if options["layer"] is None else options["layer"]
            unread = [*looking.of_questions(asked, knowledge), *looking.of_phrasings(knowledge, most=options["phrasings"])]
            if (count := sum(one.for_join for one in unread)) < MIN_QUESTIONS:
                told = f"The search is unsure of {count} of the questions; {MIN_QUESTIONS} are needed to fit anything."
                raise CommandError(f"{told} Add harder ones.")
            base, looked = _looked(unread, layer=layer)
            head, crossed = fit_head(looked, layer=layer)
            out = options["out"] or look_head.path_of(base, folder=settings.LOOK_HEADS_DIR)
            look_head.save(head, out)
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        except (ChatbotError, EngineError, ValueError) as error:
            raise CommandError(str(error)) from error
        figures = figures_of(looked, crossed) | {"layer": layer, "model": base, "out": str(out)}
        if options["json"]:
            self.stdout.write(json.dumps(figures))
            return
        for name, value in figures.items():
            self.stdout.write(f"{name:38}{format(value, '.3f') if isinstance(value, float) else value}")
        self.stdout.write("Restart the generation workers to let them read it.")


def _looked(unread: list[Unread], *, layer: int) -> tuple[str, list[Looked]]:
    """The base weights' name, and what they hold of each. Raises EngineError."""
    engine = runtime.engine()
    try:
        bar = tqdm(unread, desc="looking", unit=" questions", disable=None)
        return engine.versions[0], [looking.read(one, engine=engine, layer=layer) for one in bar]
    finally:
        engine.stop()


def _layer() -> int:
    """Raises EngineError, OSError and ValueError."""
    config = json.loads((runtime.model_folder() / "config.json").read_text(encoding="utf-8"))
    if not isinstance(layers := config.get("num_hidden_layers"), int):
        raise ValueError("This model's config.json does not say how many layers it has; name one with --layer.")
    return int(layers * DEPTH)
