"""Change what the company says. Every change is one transaction, leaves a revision with its author, and refreshes the index.

The faces call these functions and never write the models. `expected_revision` is the one the author was looking at: when the
FAQ has moved on meanwhile, nothing is written and Conflict (`faq_conflict`) says so.
"""

from __future__ import annotations

from dataclasses import replace

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from chatbot.errors import Conflict, InvalidInput, NotFound
from chatbot.knowledge import tasks
from chatbot.knowledge.content import FaqText, one_line, refuse_problems
from chatbot.knowledge.models import Faq, FaqRevision, FaqStatus

Author = AbstractBaseUser | None


def create_faq(key: str, *, locale: str, text: FaqText, author: Author, publish: bool = False, note: str = "") -> Faq:
    """Write a new FAQ, as a draft unless `publish`. Raises InvalidInput, or Conflict when key and locale are taken."""
    refuse_problems(key, locale, text)
    faq = Faq(key=key, locale=locale, status=FaqStatus.PUBLISHED if publish else FaqStatus.DRAFT)
    _put(faq, text)
    if publish:
        faq.published_at = timezone.now()
    try:
        with transaction.atomic():
            faq.save()
            _record(faq, author=author, note=note or "created")
    except IntegrityError as error:
        raise Conflict(f"There is already a FAQ {key} in {locale}.", code="faq_exists", field="key") from error
    return faq


def edit_faq(faq_id: int, *, text: FaqText, expected_revision: int, author: Author, note: str = "") -> Faq:
    """Replace a FAQ's words; the status stays, so customers read the change of a published one. The same words change nothing."""
    with transaction.atomic():
        faq = _locked(faq_id, expected_revision=expected_revision)
        refuse_problems(faq.key, faq.locale, text)
        if text == FaqText.of(faq):
            return faq
        _put(faq, text)
        return _save(faq, author=author, note=note or "edited")


def publish_faq(faq_id: int, *, author: Author, expected_revision: int | None = None, note: str = "") -> Faq:
    """Let customers see it. Publishing a published FAQ changes nothing."""
    with transaction.atomic():
        faq = _locked(faq_id, expected_revision=expected_revision)
        if faq.status == FaqStatus.PUBLISHED:
            return faq
        refuse_problems(faq.key, faq.locale, FaqText.of(faq))
        faq.status = FaqStatus.PUBLISHED
        faq.published_at = timezone.now()
        return _save(faq, author=author, note=note or "published")


def archive_faq(faq_id: int, *, author: Author, expected_revision: int | None = None, note: str = "") -> Faq:
    """Take it out of every answer; the words and revisions stay. Archiving an archived FAQ changes nothing."""
    with transaction.atomic():
        faq = _locked(faq_id, expected_revision=expected_revision)
        if faq.status == FaqStatus.ARCHIVED:
            return faq
        faq.status = FaqStatus.ARCHIVED
        return _save(faq, author=author, note=note or "archived")


def revert_faq(faq_id: int, *, number: int, expected_revision: int, author: Author) -> Faq:
    """Bring back the words of an earlier revision, as a new revision. The status stays."""
    revision = FaqRevision.objects.filter(faq_id=faq_id, number=number).first()
    if revision is None:
        raise NotFound("This revision does not exist.", code="faq_revision_not_found")
    return edit_faq(
        faq_id,
        text=FaqText.of(revision),
        expected_revision=expected_revision,
        author=author,
        note=f"reverted to revision {number}",
    )


def add_phrasing(faq_id: int, *, phrasing: str, author: Author, note: str = "") -> Faq:
    """Teach a FAQ one more way to ask it. One that it has already changes nothing."""
    with transaction.atomic():
        faq = _locked(faq_id, expected_revision=None)
        if not one_line(phrasing):
            raise InvalidInput("The phrasing is empty.", code="faq_invalid", field="phrasings")
        now = FaqText.of(faq)
        text = replace(now, phrasings=[*now.phrasings, phrasing])
        return edit_faq(faq_id, text=text, expected_revision=faq.revision, author=author, note=note or "phrasing added")


def _locked(faq_id: int, *, expected_revision: int | None) -> Faq:
    faq = Faq.objects.select_for_update().filter(pk=faq_id).first()
    if faq is None:
        raise NotFound("This FAQ does not exist.", code="faq_not_found")
    if expected_revision is not None and faq.revision != expected_revision:
        raise Conflict(
            f"Somebody else changed this FAQ meanwhile (revision {faq.revision}). Load it again and repeat your change.",
            code="faq_conflict",
        )
    return faq


def _put(faq: Faq, text: FaqText) -> None:
    faq.question, faq.answer, faq.category = text.question, text.answer, text.category
    faq.phrasings = list(text.phrasings)


def _save(faq: Faq, *, author: Author, note: str) -> Faq:
    faq.revision += 1
    faq.save()
    _record(faq, author=author, note=note)
    return faq


def _record(faq: Faq, *, author: Author, note: str) -> None:
    revision_of(faq, author=author, note=note).save()
    transaction.on_commit(tasks.enqueue_refresh)


def revision_of(faq: Faq, *, author: Author, note: str) -> FaqRevision:
    """The unsaved record of a FAQ as it is now."""
    return FaqRevision(
        faq=faq,
        number=faq.revision,
        category=faq.category,
        question=faq.question,
        answer=faq.answer,
        phrasings=faq.phrasings,
        status=faq.status,
        author_id=author.pk if author else None,
        note=note[:200],
    )
