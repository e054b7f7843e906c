"""manage.py importfaqs FILE: bring FAQs in from JSONL, CSV or XLSX, all or nothing, and make them answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from chatbot.errors import ChatbotError
from chatbot.knowledge.embedding import default_embedder
from chatbot.knowledge.faq_files import MAX_FILE_BYTES, format_of
from chatbot.knowledge.importing import MAX_ISSUES, Entry, ImportReport, import_faqs, read_entries
from chatbot.knowledge.indexing import refresh_index


class Command(BaseCommand):
    help = "Import FAQs from a JSONL, CSV or XLSX file. One bad line, and nothing is written."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="say what would change and write nothing")
        parser.add_argument("--no-index", action="store_true", help="leave the indexing to the general worker")

    def handle(self, *args: Any, file: Path, dry_run: bool, no_index: bool, **options: Any) -> None:
        try:
            report = import_faqs(read_file(file), format=format_of(file.name), author=None, dry_run=dry_run, enqueue=no_index)
        except ChatbotError as error:
            raise CommandError(error.message) from error
        if report.errors:
            raise CommandError(_errors(report))
        done = "would be " if dry_run else ""
        self.stdout.write(f"{report.created} {done}created, {report.changed} {done}changed, {report.unchanged} unchanged")
        if not dry_run and not no_index:
            self._index()

    def _index(self) -> None:
        with tqdm(desc="embedding", unit=" phrasings", disable=None) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            result = refresh_index(embedder=default_embedder(), progress=show)
        self.stdout.write(f"{result.faqs} FAQs answer in {result.phrasings} phrasings ({result.embedded} newly embedded)")


def read_file(file: Path) -> bytes:
    """Read at most one byte more than an import allows. Raises CommandError."""
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from error


def read_faqs(file: Path) -> list[Entry]:
    """The entries of a FAQ file that is measured, not stored. Raises CommandError."""
    try:
        entries, errors = read_entries(read_file(file), format=format_of(file.name), strict=False)
    except ChatbotError as error:
        raise CommandError(f"{file}: {error.message}") from error
    if errors:
        raise CommandError(f"{file}:\n" + "\n".join(map(str, errors[:MAX_ISSUES])))
    return entries


def _errors(report: ImportReport) -> str:
    lines = [str(issue) for issue in report.errors]
    if report.more_errors:
        lines.append("and more")
    return "Nothing was imported.\n" + "\n".join(lines)
