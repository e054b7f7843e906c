"""`manage.py exportfeedback FILE`: rated answers as an unpaired-preference dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot.learning.datasets import rated_completions
from chatbot.training.records import write_records


class Command(BaseCommand):
    help = "Write every rated answer to FILE, one JSON object a line: prompt, completion, label. Holds customers' words."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            count = write_records(rated_completions(), file)
        except OSError as error:
            raise CommandError(f"{file} cannot be written: {error.strerror}.") from error
        self.stdout.write(
            f"{count} rated answers written to {file}. They hold customers' words: keep the file as you keep those."
        )
