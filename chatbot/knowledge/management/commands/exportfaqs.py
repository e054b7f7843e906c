"""manage.py exportfaqs FILE: write all FAQs as JSONL, CSV or XLSX."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot.errors import ChatbotError
from chatbot.knowledge.faq_files import format_of
from chatbot.knowledge.importing import export_faqs


class Command(BaseCommand):
    help = "Export all FAQs to a JSONL, CSV or XLSX file. Importing it again changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            format = format_of(file.name)
            count = _write_whole(file, export_faqs(format=format))
        except ChatbotError as error:
            raise CommandError(error.message) from error
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from error
        self.stdout.write(f"{file}: {count / 1024:.0f} KB written")


def _write_whole(file: Path, pieces: Any) -> int:
    """Write beside the file and rename, so that a full disk never leaves half a file; returns the size in bytes."""
    with NamedTemporaryFile(dir=file.resolve().parent, prefix=f".{file.name}.", delete=False) as stream:
        try:
            for piece in pieces:
                stream.write(piece)
            size = stream.tell()
            stream.close()
            os.chmod(stream.name, 0o644)
            os.replace(stream.name, file)
        except BaseException:
            os.unlink(stream.name)
            raise
    return size
