"""`manage.py builddataset NAME`: freeze the approved examples into a dataset."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot.errors import ChatbotError
from chatbot.learning import datasets, sweeping
from chatbot.learning.datasets import Filters


class Command(BaseCommand):
    help = "Gather what is new, flag what looks strange, and freeze the approved examples into DATA_DIR/datasets/NAME."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--locale", action="append", default=[], help="only this language; may be given more than once")
        parser.add_argument(
            "--source", action="append", default=[], help="only this source: thumb, correction, reviewed, faq ..."
        )
        parser.add_argument("--topic", action="append", default=[], help="only this topic (the FAQ's category)")
        parser.add_argument("--most", type=int, default=0, help="at most so many training lines of each kind")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        found = sweeping.sweep()
        told = f"{found.proposed} new proposals, {found.merged} of them the same as others"
        self.stdout.write(f"{told}; flags: {found.flags or 'none'}")
        filters = Filters(tuple(options["locale"]), tuple(options["source"]), tuple(options["topic"]), options["most"])
        try:
            dataset = datasets.build(name, filters=filters)
        except ChatbotError as error:
            raise CommandError(f"{error} [{error.code}]") from error
        counts = dataset.manifest["counts"]
        self.stdout.write(f"{dataset}: {dataset.manifest['examples']} examples, sha256 {dataset.sha256[:16]}")
        for kind in ("method", "locale", "source", "refusal"):
            self.stdout.write(f"  {kind}: " + ", ".join(f"{label} {count}" for label, count in counts[kind].items()))
        self.stdout.write(f"  left out: {dataset.manifest['left_out'] or 'nothing'}\n{datasets.folder_of(dataset)}")
