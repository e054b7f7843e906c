"""Bring FAQs in from a file and take them out again. All or nothing: one bad line, and nothing is written.

Importing what was exported changes nothing. A FAQ that a file does not name stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db import IntegrityError, transaction
from django.utils import timezone

from chatbot.errors import Conflict
from chatbot.knowledge import tasks
from chatbot.knowledge.authoring import Author, revision_of
from chatbot.knowledge.content import FaqText, problems_of
from chatbot.knowledge.faq_files import FileIssue, Format, Record, read_records, write_records
from chatbot.knowledge.models import Faq, FaqRevision, FaqStatus
from chatbot.telemetry import log_event

MAX_ISSUES = 50
_BATCH = 500


@dataclass(frozen=True)
class ImportReport:
    """What an import did, or with `dry_run` would do. With errors, nothing was written and the counts are zero."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    errors: tuple[FileIssue, ...] = ()
    # More errors than MAX_ISSUES: only the first are listed.
    more_errors: bool = False


@dataclass(frozen=True)
class Entry:
    """One line of a file that can be stored. status: empty where the file says nothing."""

    line: int
    key: str
    locale: str
    text: FaqText
    status: str


@dataclass
class _Plan:
    created: list[Faq] = field(default_factory=list)
    changed: list[Faq] = field(default_factory=list)
    unchanged: int = 0


def import_faqs(data: bytes, *, format: Format, author: Author, dry_run: bool = False, enqueue: bool = True) -> ImportReport:
    """Create and change FAQs as a file says.

    New FAQs are published unless the file gives another status; a known FAQ keeps its status where the file gives none.
    enqueue: let the general worker refresh the index; a caller that refreshes it itself says no.
    """
    entries, errors = read_entries(data, format=format)
    if errors:
        report = ImportReport(errors=tuple(errors[:MAX_ISSUES]), more_errors=len(errors) > MAX_ISSUES)
    else:
        report = _write(entries, author=author, dry_run=dry_run, enqueue=enqueue)
    if not dry_run:
        log_event(
            "knowledge.imported",
            created=report.created,
            changed=report.changed,
            unchanged=report.unchanged,
            errors=len(report.errors),
        )
    return report


def read_entries(data: bytes, *, format: Format, strict: bool = True) -> tuple[list[Entry], list[FileIssue]]:
    """Read and check a whole file; with errors the entries are not to be used. Not `strict`: unknown fields are passed over."""
    entries: list[Entry] = []
    errors: list[FileIssue] = []
    first_lines: dict[tuple[str, str], int] = {}
    for found in read_records(data, format=format, strict=strict):
        if isinstance(found, FileIssue):
            errors.append(found)
        else:
            entry = _entry(found)
            errors.extend(_issues_of(entry, first_lines))
            entries.append(entry)
        if len(errors) > MAX_ISSUES:
            break
    if not entries and not errors:
        errors.append(FileIssue(0, "", "contains no FAQ"))
    return entries, errors


def _entry(record: Record) -> Entry:
    text = FaqText(question=record.question, answer=record.answer, phrasings=record.phrasings, category=record.category)
    return Entry(line=record.line, key=record.key, locale=record.locale.lower(), text=text, status=record.status)


def _issues_of(entry: Entry, first_lines: dict[tuple[str, str], int]) -> Iterator[FileIssue]:
    for name, problem in problems_of(entry.key, entry.locale, entry.text):
        yield FileIssue(entry.line, name, problem)
    if entry.status and entry.status not in FaqStatus.values:
        yield FileIssue(entry.line, "status", f"must be one of {', '.join(FaqStatus.values)}")
    before = first_lines.setdefault((entry.key, entry.locale), entry.line)
    if before != entry.line:
        yield FileIssue(entry.line, "key", f"{entry.key[:100]!r} in {entry.locale[:35]!r} stands already on line {before}")


def _write(entries: list[Entry], *, author: Author, dry_run: bool, enqueue: bool) -> ImportReport:
    try:
        with transaction.atomic():
            plan = _plan(entries)
            if not dry_run:
                _carry_out(plan, author=author)
                if enqueue and (plan.created or plan.changed):
                    transaction.on_commit(tasks.enqueue_refresh)
    except IntegrityError as error:
        raise Conflict("Somebody created one of these FAQs at the same moment. Import again.", code="faq_exists") from error
    return ImportReport(created=len(plan.created), changed=len(plan.changed), unchanged=plan.unchanged)


def _plan(entries: list[Entry]) -> _Plan:
    """Compare the file with what is there, under lock; the models hold the new values afterwards."""
    keys = {entry.key for entry in entries}
    known = {(faq.key, faq.locale): faq for faq in Faq.objects.select_for_update().filter(key__in=keys)}
    plan = _Plan()
    for entry in entries:
        faq = known.get((entry.key, entry.locale))
        if faq is None:
            plan.created.append(_filled(Faq(key=entry.key, locale=entry.locale), entry.text, entry.status or FaqStatus.PUBLISHED))
        elif FaqText.of(faq) != entry.text or (entry.status and entry.status != faq.status):
            faq.revision += 1
            plan.changed.append(_filled(faq, entry.text, entry.status or faq.status))
        else:
            plan.unchanged += 1
    return plan


def _filled(faq: Faq, text: FaqText, status: str) -> Faq:
    faq.question, faq.answer, faq.category = text.question, text.answer, text.category
    faq.phrasings = list(text.phrasings)
    if status == FaqStatus.PUBLISHED and faq.status != FaqStatus.PUBLISHED:
        faq.published_at = timezone.now()
    faq.status = FaqStatus(status)
    faq.updated_at = timezone.now()
    return faq


def _carry_out(plan: _Plan, *, author: Author) -> None:
    Faq.objects.bulk_create(plan.created, batch_size=_BATCH)
    Faq.objects.bulk_update(
        plan.changed,
        ["question", "answer", "category", "phrasings", "status", "published_at", "updated_at", "revision"],
        batch_size=_BATCH,
    )
    touched = [*plan.created, *plan.changed]
    FaqRevision.objects.bulk_create([revision_of(faq, author=author, note="imported") for faq in touched], batch_size=_BATCH)


def export_faqs(*, format: Format) -> Iterator[bytes]:
    """All FAQs, in the order of key and locale, as the pieces of a file."""
    faqs = Faq.objects.order_by("key", "locale")
    with_status = faqs.exclude(status=FaqStatus.PUBLISHED).exists()
    yield from write_records((_record_of(faq) for faq in faqs.iterator()), format=format, with_status=with_status)


def _record_of(faq: Faq) -> Record:
    return Record(
        line=0,
        key=faq.key,
        locale=faq.locale,
        category=faq.category,
        question=faq.question,
        phrasings=tuple(faq.phrasings),
        answer=faq.answer,
        status=str(faq.status),
    )
