"""`manage.py ask "question"`: one answer by the live pipeline from the live knowledge, with how it came about."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot import runtime
from chatbot.answering import pipeline
from chatbot.answering.language import NAMES
from chatbot.documents.search import search_all
from chatbot.engine.requests import Engine, EngineError
from chatbot.protocol import MAX_TEXT_CHARS


class Command(BaseCommand):
    help = "Answer a question as the chat would, apart from any conversation, and show the trace."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("question")
        parser.add_argument("--locale", default="en", help="of the interface; the language of the text wins (default: en)")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        text = options["question"].strip()
        if not 0 < len(text) <= MAX_TEXT_CHARS:
            raise CommandError(f"The question must have 1 to {MAX_TEXT_CHARS} characters.")
        locale = _locale(options["locale"])
        answer = self._answer(text, locale=locale)
        if options["json"]:
            self.stdout.write(json.dumps({"question": text, **dataclasses.asdict(answer)}, ensure_ascii=False))
        else:
            self._print(answer)

    def _answer(self, text: str, *, locale: str) -> pipeline.Answer:
        question = pipeline.Question(
            text,
            locale=locale,
            company=runtime.company(),
            deadline_s=settings.REPLY_DEADLINE_S,
            second_look=settings.ANSWER_SECOND_LOOK,
            look_heads=settings.LOOK_HEADS_DIR,
        )
        engine = self._engine()
        try:
            steps = list(pipeline.answer(question, search=search_all, engine=engine, should_stop=lambda: False))
        finally:
            engine.stop()
        last = steps[-1]
        assert isinstance(last, pipeline.Answer)  # The pipeline ends with it.
        return last

    def _engine(self) -> Engine:
        begun = time.monotonic()
        self.stderr.write("Loading the model ...")
        try:
            engine = runtime.engine()
        except EngineError as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"Loaded {engine.model_version} in {time.monotonic() - begun:.1f} s.")
        return engine

    def _print(self, answer: pipeline.Answer) -> None:
        trace = dict(answer.trace)
        write = self.stdout.write
        write(answer.text)
        for number, choice in enumerate(answer.choices, start=1):
            write(f"  {number}) {choice}")
        write("")
        for citation in answer.citations:
            write(f"[{citation.number}] {citation.title} ({citation.key}, revision {citation.revision})")
        write(f"decision: {answer.decision} ({trace.pop('reason')}), language: {answer.language}, finish: {answer.finish_reason}")
        write(f"confidence: {trace.pop('confidence', 0.0):.3f}")
        for match in trace.pop("ranked", []):
            write(f"  {match['score']:8.4f}  {match['key']} [{match['locale']}]")
        for withheld in trace.pop("withheld", []):
            write(f"withheld: {withheld['sentence']}  ({', '.join(withheld['reasons'])})")
        write("  ".join(f"{name}: {value}" for name, value in trace.items() if name not in ("decision", "language")))


def _locale(code: str) -> str:
    """Accept a full code or a short one: zh is zh-hans. Raises CommandError for a language nobody knows."""
    code = code.lower().replace("_", "-")
    known = {"zh": "zh-hans", "zh-cn": "zh-hans", "zh-tw": "zh-hant", "zh-hk": "zh-hant"}.get(code, code)
    if known not in NAMES:
        raise CommandError(f"Unknown locale {code!r}. Known: {', '.join(NAMES)}.")
    return known
