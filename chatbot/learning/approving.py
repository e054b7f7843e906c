"""Decide what may train: flag what looks strange, approve, reject, and take back when a person withdraws."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from chatbot.errors import Conflict
from chatbot.knowledge.access import answering_faqs
from chatbot.learning import suspicion
from chatbot.learning.examples import person_of
from chatbot.learning.models import ConsentWithdrawal, Example
from chatbot.learning.suspicion import Seen
from chatbot.staffing import audit

# Flags that only somebody who looks at the one example may overrule.
SERIOUS = ("burst", "strange_word", "not_grounded", "answer_in_question")
_COMPUTED = ("burst", "strange_word", "contradicts")


def flag_all() -> dict[str, int]:
    """Look at all living examples together and renew their flags; returns how many have each."""
    rows = list(living().only("pk", "asked", "chosen", "label", "customer_id", "happened_at", "flags", "kind", "is_refusal"))
    seen = [_seen(row) for row in rows]
    bursts = suspicion.bursts([one for one in seen if one.person])
    strange = _strange(rows, seen)
    contradicting = _contradicting(rows)
    counts: dict[str, int] = {}
    changed = []
    for row in rows:
        flags = {flag for flag in row.flags if flag not in _COMPUTED}
        flags |= {
            name for name, ids in (("burst", bursts), ("strange_word", strange), ("contradicts", contradicting)) if row.pk in ids
        }
        for flag in flags:
            counts[flag] = counts.get(flag, 0) + 1
        if flags != set(row.flags):
            row.flags = sorted(flags)
            changed.append(row)
    Example.objects.bulk_update(changed, ["flags"], batch_size=500)
    return counts


def _strange(rows: list[Example], seen: list[Seen]) -> set[int]:
    """Examples with a word that pulls answers towards it. A thumb comes with half of all answers and its outcome is another, so
    thumbs are held against thumbs only; the company's own examples would only make a word look rare."""
    words, found = published_words(), set[int]()
    for rated in (True, False):
        own = [one for row, one in zip(rows, seen, strict=True) if (row.kind == Example.Kind.RATED) == rated and one.person]
        found |= {i for ids in suspicion.triggers(own, known_words=words).values() for i in ids}
    return found


def living() -> QuerySet[Example]:
    return Example.objects.filter(status__in=[Example.Status.PROPOSED, Example.Status.APPROVED])


def published_words() -> frozenset[str]:
    """Every word of the published FAQs, and every two in a row: what is not among them is strange to the company."""
    found: set[str] = set()
    for faq in answering_faqs().iterator():
        for text in (faq.question, faq.answer, *faq.phrasings):
            found |= suspicion.signs_of(text)
    return frozenset(found)


def approve(ids: Iterable[int], *, by_id: int | None, even_flagged: bool = False) -> int:
    """Let proposals train; returns how many. Flagged ones need even_flagged, one at a time. Raises Conflict."""
    wanted = list(ids)
    if even_flagged and len(wanted) > 1:
        raise Conflict("Look at flagged examples one at a time.", code="flagged_in_bulk")
    with transaction.atomic():
        rows = Example.objects.select_for_update().filter(pk__in=wanted, status=Example.Status.PROPOSED)
        rows = rows.exclude(consent=Example.Consent.WITHHELD)
        if not even_flagged:
            rows = rows.exclude(flags__overlap=list(SERIOUS))
        taken = list(rows.values_list("pk", flat=True))
        Example.objects.filter(pk__in=taken).update(
            status=Example.Status.APPROVED, decided_by_id=by_id, decided_at=timezone.now()
        )
        audit.record(by_id, "examples.approved", "", {"examples": len(taken), "flagged": even_flagged})
    return len(taken)


def reject(ids: Iterable[int], *, by_id: int | None) -> int:
    with transaction.atomic():
        rows = living().filter(pk__in=list(ids))
        count = rows.update(status=Example.Status.REJECTED, decided_by_id=by_id, decided_at=timezone.now())
        audit.record(by_id, "examples.rejected", "", {"examples": count})
    return count


def withdraw_consent(customer_id: UUID) -> int:
    """A person does not want his words to train; they stay where they are needed, and enter no new dataset, now or later."""
    ConsentWithdrawal.objects.get_or_create(customer_id=customer_id)
    return Example.objects.filter(customer_id=customer_id).update(consent=Example.Consent.WITHHELD)


def _seen(row: Example) -> Seen:
    outcome = f"{row.kind}:{row.label}" if row.kind == Example.Kind.RATED else "refusal" if row.is_refusal else row.chosen[:200]
    return Seen(row.pk, person_of(row), row.asked["question"], outcome, row.happened_at)


def _contradicting(rows: list[Example]) -> set[int]:
    """The same question answered once and refused once: at least one of them is wrong."""
    by_question: dict[str, list[Example]] = {}
    for row in rows:
        if row.kind != Example.Kind.RATED:
            by_question.setdefault(" ".join(sorted(suspicion.words_of(row.asked["question"]))), []).append(row)
    groups = [group for words, group in by_question.items() if words and len({row.is_refusal for row in group}) > 1]
    return {row.pk for group in groups for row in group}
