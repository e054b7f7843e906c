"""Change many FAQs in one step: all of them or none, each with a revision of its own and under its own lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from chatbot.errors import Conflict, InvalidInput
from chatbot.knowledge import tasks
from chatbot.knowledge.authoring import Author, put_words, refuse_own_words, revision_of
from chatbot.knowledge.content import FaqTerms, FaqText, one_line
from chatbot.knowledge.models import MAX_CATEGORY_CHARS, Faq, FaqRevision, FaqStatus
from chatbot.staffing import audit

Action = Literal["publish", "archive", "category", "owner"]
MAX_FAQS = 10_000
_BATCH = 500
_NAMED = 5


@dataclass(frozen=True)
class BulkReport:
    changed: int
    unchanged: int


@transaction.atomic
def change_faqs(revisions: Mapping[int, int], *, action: Action, value: str = "", author: Author) -> BulkReport:
    """Do one thing to many FAQs. value: the category's name, or the new owner's id ("" for nobody).

    revisions: FAQ id to the `latest_revision` that was looked at. Raises Conflict naming FAQs that have moved on, InvalidInput
    naming those that may not be changed so; nothing is written then.
    """
    value = one_line(value)
    if action == "category" and len(value) > MAX_CATEGORY_CHARS:
        raise InvalidInput(f"A category has at most {MAX_CATEGORY_CHARS} characters.", code="faq_invalid", field="value")
    if not 1 <= len(revisions) <= MAX_FAQS:
        raise InvalidInput(f"Choose 1 to {MAX_FAQS:,} FAQs.", code="faq_invalid")
    # In one order, so that two such steps at once wait for each other instead of locking each other out.
    faqs = list(Faq.objects.select_for_update().filter(pk__in=revisions).order_by("pk"))
    moved = [faq.key for faq in faqs if faq.latest_revision != revisions[faq.pk]]
    if moved or len(faqs) < len(revisions):
        raise Conflict(f"Changed or gone since you looked: {_names(moved) or 'some FAQs'}. Choose again.", code="faq_conflict")
    changed = [faq for faq in faqs if _differs(faq, action=action, value=value)]
    if action == "publish":
        _refuse_unpublishable(changed, author=author)
    changes = _changes_of(changed) if action in ("category", "owner") else []
    records = [_changed(faq, action=action, value=value, author=author) for faq in changed]
    records += [_carried(faq, change, action=action, value=value, author=author) for faq, change in changes]
    _store(changed, action=action)
    Faq.objects.bulk_update([faq for faq, _ in changes], ["change_number"], batch_size=_BATCH)
    FaqRevision.objects.bulk_create(records, batch_size=_BATCH)
    if changed:
        detail = {"done": action, "faqs": len(changed), "keys": [faq.key for faq in changed[: audit.MAX_ITEMS]]}
        audit.record(author.pk if author else None, "faqs.changed_together", "faqs", detail)
        transaction.on_commit(tasks.enqueue_refresh)
    return BulkReport(changed=len(changed), unchanged=len(faqs) - len(changed))


def _differs(faq: Faq, *, action: Action, value: str) -> bool:
    if action == "publish":
        return faq.status != FaqStatus.PUBLISHED
    if action == "archive":
        return faq.status != FaqStatus.ARCHIVED
    if action == "category":
        return faq.category != value
    return faq.owner_id != (int(value) if value else None)


def _store(faqs: list[Faq], *, action: Action) -> None:
    """Write the rows in one statement: all get the same values, and each its own next revision."""
    if not faqs:
        return
    names = {"category": ["category"], "owner": ["owner_id"], "publish": ["status", "published_at"]}
    same = {name: getattr(faqs[0], name) for name in names.get(action, ["status", "change_number", "change_status"])}
    latest = Greatest(F("revision"), Coalesce(F("change_number"), 0))
    Faq.objects.filter(pk__in=[faq.pk for faq in faqs]).update(revision=latest + 1, updated_at=timezone.now(), **same)


def _refuse_unpublishable(faqs: list[Faq], *, author: Author) -> None:
    own = []
    for faq in faqs:
        try:
            refuse_own_words(faq, author=author)
        except InvalidInput:
            own.append(faq.key)
    if own:
        raise InvalidInput(
            f"You wrote the words of {_names(own)} yourself, so somebody else must publish them.", code="faq_second_person"
        )
    if empty := [faq.key for faq in faqs if not faq.answer]:
        raise InvalidInput(f"Without an answer: {_names(empty)}.", code="faq_invalid")


def _changed(faq: Faq, *, action: Action, value: str, author: Author) -> FaqRevision:
    faq.revision, faq.updated_at = faq.latest_revision + 1, timezone.now()
    note = {"publish": "published with others", "archive": "archived with others"}.get(action, f"{action} changed with others")
    if action == "publish":
        faq.status, faq.published_at = FaqStatus.PUBLISHED, faq.updated_at
    elif action == "archive":
        faq.status, faq.change_number, faq.change_status = FaqStatus.ARCHIVED, None, ""
    else:
        put_words(faq, *_with(FaqText.of(faq), FaqTerms.of(faq), action=action, value=value))
    return revision_of(faq, author=author, note=note)


def _changes_of(faqs: list[Faq]) -> list[tuple[Faq, FaqRevision]]:
    open_changes = FaqRevision.objects.filter(faq__in=[faq for faq in faqs if faq.change_number], is_change=True)
    found = {(change.faq_id, change.number): change for change in open_changes}
    return [(faq, found[faq.pk, faq.change_number]) for faq in faqs if faq.change_number]


def _carried(faq: Faq, change: FaqRevision, *, action: Action, value: str, author: Author) -> FaqRevision:
    """The unpublished change with the new category or owner, so that publishing it does not bring the old one back."""
    carried = revision_of(faq, author=author, note=f"{action} changed with others")
    put_words(carried, *_with(FaqText.of(change), FaqTerms.of(change), action=action, value=value))
    carried.number, carried.is_change, carried.status = faq.latest_revision + 1, True, change.status
    carried.written_by_id = change.written_by_id
    faq.change_number = carried.number
    return carried


def _with(text: FaqText, terms: FaqTerms, *, action: Action, value: str) -> tuple[FaqText, FaqTerms]:
    if action == "category":
        return replace(text, category=value), terms
    return text, replace(terms, owner_id=int(value) if value else None)


def _names(keys: list[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(keys[:_NAMED]) + more
