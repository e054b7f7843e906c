"""Bring FAQs in from a file and take them out again. All or nothing: one bad line, and nothing is written.

Importing what was exported changes nothing. A FAQ that a file does not name stays as it is. Where a second person has to look
(FAQ_SECOND_PAIR_OF_EYES), new FAQs come in review, and published ones get an unpublished change in review.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from chatbot.errors import Conflict
from chatbot.knowledge import tasks
from chatbot.knowledge.authoring import Author, put_words, reads_differently, revision_of, second_person_needed
from chatbot.knowledge.content import FaqTerms, FaqText, problems_of
from chatbot.knowledge.faq_files import FileIssue, Format, Record, read_records, write_records
from chatbot.knowledge.models import Faq, FaqRevision, FaqStatus
from chatbot.staffing import audit
from chatbot.telemetry import log_event

MAX_ISSUES = 50
MAX_SHOWN = 50
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
    # Of the changed ones, those that wait for a second person: unpublished changes, and new FAQs in review.
    for_review: int = 0
    # The first MAX_SHOWN new and changed FAQs.
    shown: tuple[PlannedFaq, ...] = ()
    # Identifies what is changed and from which revisions; another mark means that somebody was quicker.
    mark: str = ""


@dataclass(frozen=True)
class PlannedFaq:
    """What a file does to one FAQ. before: None for a new one."""

    key: str
    locale: str
    before: FaqText | None
    after: FaqText
    status_before: str
    status_after: str


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
    """changed: with their new words. proposed: published ones that keep theirs, with the words to look at."""

    author: Author
    now: datetime = field(default_factory=timezone.now)
    created: list[Faq] = field(default_factory=list)
    changed: list[Faq] = field(default_factory=list)
    proposed: list[tuple[Faq, FaqText]] = field(default_factory=list)
    unchanged: int = 0
    shown: list[PlannedFaq] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)

    def note(self, faq: Faq, before: FaqText | None, entry: Entry, status_before: str, status_after: str) -> None:
        self.touched.append(f"{entry.key} {entry.locale} {faq.latest_revision if before else 0}")
        if len(self.shown) < MAX_SHOWN:
            self.shown.append(PlannedFaq(entry.key, entry.locale, before, entry.text, status_before, status_after))

    @property
    def mark(self) -> str:
        return hashlib.sha256("\n".join(sorted(self.touched)).encode()).hexdigest()[:32]


def import_faqs(
    data: bytes, *, format: Format, author: Author, dry_run: bool = False, enqueue: bool = True, expected_mark: str = ""
) -> ImportReport:
    """Create and change FAQs as a file says.

    New FAQs are published unless the file gives another status; a known FAQ keeps its status where the file gives none.
    enqueue: let the general worker refresh the index; a caller that refreshes it itself says no.
    expected_mark: the dry run's; Conflict when the FAQs it would change have been changed since.
    """
    entries, errors = read_entries(data, format=format)
    if errors:
        report = ImportReport(errors=tuple(errors[:MAX_ISSUES]), more_errors=len(errors) > MAX_ISSUES)
    else:
        report = _write(entries, author=author, dry_run=dry_run, enqueue=enqueue, expected_mark=expected_mark)
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


def _write(entries: list[Entry], *, author: Author, dry_run: bool, enqueue: bool, expected_mark: str) -> ImportReport:
    try:
        with transaction.atomic():
            plan = _plan(entries, author=author)
            if expected_mark and plan.mark != expected_mark:
                raise Conflict(
                    "Some of these FAQs have been changed since you looked. Choose the file again.", code="faq_conflict"
                )
            if not dry_run:
                _carry_out(plan)
                _audit(plan)
                if enqueue and (plan.created or plan.changed):
                    transaction.on_commit(tasks.enqueue_refresh)
    except IntegrityError as error:
        raise Conflict("Somebody created one of these FAQs at the same moment. Import again.", code="faq_exists") from error
    return ImportReport(
        created=len(plan.created),
        changed=len(plan.changed) + len(plan.proposed),
        unchanged=plan.unchanged,
        for_review=len(plan.proposed) + sum(faq.status == FaqStatus.REVIEW for faq in plan.created),
        shown=tuple(plan.shown),
        mark=plan.mark,
    )


def _plan(entries: list[Entry], *, author: Author) -> _Plan:
    """Compare the file with what is there, under lock; the models hold the new values afterwards."""
    keys = {entry.key for entry in entries}
    known = {(faq.key, faq.locale): faq for faq in Faq.objects.select_for_update().filter(key__in=keys)}
    plan = _Plan(author=author)
    for entry in entries:
        faq = known.get((entry.key, entry.locale))
        if faq is None:
            _plan_new(plan, entry)
        elif FaqText.of(faq) != entry.text or (entry.status and entry.status != faq.status):
            _plan_change(plan, faq, entry)
        else:
            plan.unchanged += 1
    return plan


def _plan_new(plan: _Plan, entry: Entry) -> None:
    status = entry.status or FaqStatus.PUBLISHED
    if status == FaqStatus.PUBLISHED and second_person_needed(plan.author):
        status = FaqStatus.REVIEW
    faq = Faq(key=entry.key, locale=entry.locale)
    plan.note(faq, None, entry, "", status)
    plan.created.append(_filled(faq, entry.text, status, plan=plan))


def _plan_change(plan: _Plan, faq: Faq, entry: Entry) -> None:
    status = FaqStatus(entry.status or faq.status)
    published = FaqStatus.PUBLISHED
    another = second_person_needed(plan.author) and reads_differently(faq, entry.text, FaqTerms.of(faq))
    if another and faq.status == status == published:
        plan.note(faq, FaqText.of(faq), entry, published, FaqStatus.REVIEW)
        plan.proposed.append((faq, entry.text))
        return
    if status == published != faq.status and second_person_needed(plan.author):
        status = FaqStatus.REVIEW
    plan.note(faq, FaqText.of(faq), entry, faq.status, status)
    faq.revision = faq.latest_revision + 1
    if status != published:
        faq.change_number, faq.change_status = None, ""
    plan.changed.append(_filled(faq, entry.text, status, plan=plan))


def _filled(faq: Faq, text: FaqText, status: str, *, plan: _Plan) -> Faq:
    terms = FaqTerms.of(faq)
    if faq.pk is None or reads_differently(faq, text, terms):
        faq.written_by_id, faq.written_at = plan.author.pk if plan.author else None, plan.now
    put_words(faq, text, terms)
    if status == FaqStatus.PUBLISHED and faq.status != FaqStatus.PUBLISHED:
        faq.published_at = plan.now
    faq.status = FaqStatus(status)
    faq.updated_at = plan.now
    return faq


def _carry_out(plan: _Plan) -> None:
    Faq.objects.bulk_create(plan.created, batch_size=_BATCH)
    Faq.objects.bulk_update(
        plan.changed,
        ["question", "answer", "category", "phrasings", "status", "published_at", "updated_at", "revision"]
        + ["written_by", "written_at", "change_number", "change_status"],
        batch_size=_BATCH,
    )
    touched = [*plan.created, *plan.changed]
    revisions = [revision_of(faq, author=plan.author, note="imported") for faq in touched]
    revisions += [_proposal(faq, text, plan=plan) for faq, text in plan.proposed]
    FaqRevision.objects.bulk_create(revisions, batch_size=_BATCH)
    Faq.objects.bulk_update(
        [faq for faq, _ in plan.proposed], ["change_number", "change_status", "updated_at"], batch_size=_BATCH
    )


def _audit(plan: _Plan) -> None:
    counts = {"created": len(plan.created), "changed": len(plan.changed), "for_review": len(plan.proposed)}
    audit.record(plan.author.pk if plan.author else None, "faqs.imported", "faqs", counts)


def _proposal(faq: Faq, text: FaqText, *, plan: _Plan) -> FaqRevision:
    """The file's words as an unpublished change; the FAQ's row is told of it."""
    revision = revision_of(faq, author=plan.author, note="imported, asks for a review")
    put_words(revision, text, FaqTerms.of(faq))
    revision.number, revision.is_change, revision.status = faq.latest_revision + 1, True, FaqStatus.REVIEW
    revision.written_by_id = plan.author.pk if plan.author else None
    faq.change_number, faq.change_status, faq.updated_at = revision.number, FaqStatus.REVIEW, plan.now
    return revision


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
