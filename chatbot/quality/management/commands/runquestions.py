"""`manage.py runquestions`: ask all test questions now and say what was fixed or broken since. For CI: exits 1 when broken."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot import runtime
from chatbot.engine.requests import Engine, EngineError
from chatbot.errors import ChatbotError
from chatbot.quality import comparing, running, starting
from chatbot.quality.models import QuestionRun


class Command(BaseCommand):
    help = "Ask the test questions, compare with the last finished run, and exit with 1 when a question is broken."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--against", help="the id of the run to compare with (default: the last finished one)")
        parser.add_argument("--workers", type=int, default=running.WORKERS, help="questions at once (%(default)s)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            earlier = running.access_run(uuid.UUID(options["against"])) if options["against"] else comparing.last_finished()
            run = starting.start_suite(author=None, enqueue=False)
        except ValueError as error:
            raise CommandError("--against takes the id of a run, as its page shows it.") from error
        except ChatbotError as error:
            raise CommandError(error.message) from error
        engine = self._engine()
        try:
            running.execute(run.pk, engine=lambda: engine, workers=max(1, options["workers"]))
        finally:
            engine.stop()
        run.refresh_from_db()
        if run.status != QuestionRun.Status.DONE:
            raise CommandError(f"The run ended as {run.status} {run.error}".strip() + ".")
        changes = comparing.compare(run, earlier) if earlier else []
        counts = comparing.count(changes)
        told: dict[str, Any] = {"run": str(run.pk), "against": str(earlier.pk) if earlier else None, "model": run.model_version}
        told |= {"questions": run.total, "verdicts": comparing.verdicts(run), **counts}
        self.stdout.write(json.dumps(told) if options["json"] else _table(told))
        if not options["json"]:
            for change in changes:
                if change.kind in ("broken", "fixed"):
                    self.stdout.write(f"{change.kind}: {change.text}  ({change.was} -> {change.now})")
        if counts["broken"]:
            raise SystemExit(1)

    def _engine(self) -> Engine:
        try:
            return runtime.engine()
        except EngineError as error:
            raise CommandError(str(error)) from error


def _table(told: dict[str, Any]) -> str:
    verdicts = "  ".join(f"{name}: {count}" for name, count in told["verdicts"].items())
    against = told["against"] or "nothing: this is the first finished run"
    changes = "  ".join(f"{name}: {told[name]}" for name in ("fixed", "broken", "changed", "same"))
    return f"{told['questions']} questions  {verdicts}\nagainst {against}\n{changes}"
