"""`manage.py loaddemo`: the demo company's FAQs, searchable at once, accounts to sign in with, two months of conversations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from chatbot.assist import canned
from chatbot.knowledge.access import faqs_for_staff
from chatbot.knowledge.embedding import default_embedder
from chatbot.knowledge.importing import import_faqs
from chatbot.knowledge.indexing import refresh_index
from chatbot.quality.gathering import gather
from chatbot.quality.suite import export_questions, import_questions
from support_portal.accounts.models import User
from support_portal.demo_company.accounts import ensure_accounts
from support_portal.demo_company.history import load_history

FAQS_FILE = Path(__file__).resolve().parents[2] / "faqs.jsonl"
QUESTIONS_FILE = Path(__file__).resolve().parents[2] / "questions.jsonl"
REPLIES_FILE = Path(__file__).resolve().parents[2] / "replies.jsonl"
TEST_QUESTIONS = 40


class Command(BaseCommand):
    help = "Load the demo company: its FAQs, its search index and four accounts. A second run changes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(self._load_faqs())
        self.stdout.write(self._index())
        self.stdout.write(self._load_questions())
        path = settings.DATA_DIR / "demo-accounts.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        accounts = ensure_accounts(path, base_url=_base_url())
        self.stdout.write(f"{len(accounts)} accounts; their passwords are in {path}")
        self.stdout.write(self._load_replies())
        if settings.DEMO_HISTORY:
            self.stdout.write(self._load_history())

    def _load_faqs(self) -> str:
        """Import into an empty knowledge base only: whoever has edited the demo's FAQs keeps the edits."""
        known = faqs_for_staff().count()
        if known:
            return f"{known} FAQs are here already"
        report = import_faqs(FAQS_FILE.read_bytes(), format="jsonl", author=None, enqueue=False)
        if report.errors:
            raise CommandError(f"{FAQS_FILE} is damaged: {report.errors[0]}")
        return f"{report.created} FAQs imported"

    def _index(self) -> str:
        with tqdm(desc="Embedding", unit=" phrasings", disable=None, file=self.stderr) as bar:

            def show(done: int, of: int) -> None:
                bar.total = of
                bar.update(done - bar.n)

            found = refresh_index(embedder=default_embedder(), progress=show)
        return f"{found.phrasings} phrasings of {found.faqs} FAQs are searchable ({found.embedded} embedded now)"

    def _load_replies(self) -> str:
        """Canned replies for everybody, where there are none at all."""
        if canned.all_replies().exists():
            return "Canned replies are here already"
        author = User.objects.get(username=str(User.Role.LEAD))
        rows = [json.loads(line) for line in REPLIES_FILE.read_text(encoding="utf-8").splitlines()]
        for row in rows:
            canned.add(canned.Words(**row), author=author)
        return f"{len(rows)} canned replies added"

    def _load_history(self) -> str:
        """Made-up conversations of two months, once; and what customers asked in vain in them."""
        added = load_history()
        if not added:
            return "The made-up conversations are here already"
        gather(embedder=default_embedder())
        return f"{added} made-up conversations added, all of them tagged"

    def _load_questions(self) -> str:
        """Some of the demo's questions, evenly over the file, as test questions; an edited suite stays as it is."""
        known = len(export_questions().splitlines())
        if known:
            return f"{known} test questions are here already"
        lines = QUESTIONS_FILE.read_bytes().splitlines()
        found = import_questions(b"\n".join(lines[:: max(1, len(lines) // TEST_QUESTIONS)][:TEST_QUESTIONS]), author=None)
        return f"{found.created} test questions added"


def _base_url() -> str:
    """Where the site is reached, as the one who started it has told us; the demo names its port there."""
    origins: list[str] = settings.CSRF_TRUSTED_ORIGINS
    return origins[0] if origins else "http://127.0.0.1:8000"
