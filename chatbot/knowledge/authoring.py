"""Change what the company says. Every change is one transaction, leaves a revision with its author, and refreshes the index.

The faces call these functions and never write the models. `expected_revision` is the one the author was looking at
(`Faq.latest_revision`): when the FAQ has moved on meanwhile, nothing is written and Conflict (`faq_conflict`) says so.

A published FAQ can be changed at once (`edit_faq`, `publish_words`) or by way of an unpublished change (`save_change`,
`publish_change`), which customers do not see before somebody publishes it. With FAQ_SECOND_PAIR_OF_EYES nobody publishes words
of their own: InvalidInput (`faq_second_person`). The system itself (no author) may.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from chatbot.answering.language import same_language
from chatbot.errors import Conflict, InvalidInput, NotFound
from chatbot.knowledge import tasks
from chatbot.knowledge.content import FaqTerms, FaqText, one_line, refuse_problems
from chatbot.knowledge.models import Faq, FaqContent, FaqRevision, FaqStatus
from chatbot.staffing import audit

Author = AbstractBaseUser | None
_MAX_PROPOSED_CHARS = 60
_OWN_WORDS = "You wrote these words yourself, so somebody else must publish them. Ask for a review instead."


def create_faq(
    key: str, *, locale: str, text: FaqText, author: Author, publish: bool = False, note: str = "", terms: FaqTerms | None = None
) -> Faq:
    """Write a new FAQ, as a draft unless `publish`. Raises InvalidInput, or Conflict when key and locale are taken."""
    refuse_problems(key, locale, text, terms)
    if publish and second_person_needed(author):
        raise InvalidInput(_OWN_WORDS, code="faq_second_person")
    faq = Faq(key=key, locale=locale, status=FaqStatus.PUBLISHED if publish else FaqStatus.DRAFT)
    _put(faq, text, terms or FaqTerms(), author=author)
    if publish:
        faq.published_at = timezone.now()
    try:
        with transaction.atomic():
            faq.save()
            _record(faq, author=author, note=note or "created", action="faq.created")
    except IntegrityError as error:
        raise Conflict(f"There is already a FAQ {key} in {locale}.", code="faq_exists", field="key") from error
    return faq


def edit_faq(
    faq_id: int, *, text: FaqText, expected_revision: int, author: Author, note: str = "", terms: FaqTerms | None = None
) -> Faq:
    """Replace a FAQ's words; the status stays, so customers read the change of a published one. The same words change nothing."""
    with transaction.atomic():
        faq = _locked(faq_id, expected_revision=expected_revision)
        terms = terms or FaqTerms.of(faq)
        refuse_problems(faq.key, faq.locale, text, terms)
        if (text, terms) == _said(faq):
            return faq
        if faq.status == FaqStatus.PUBLISHED and reads_differently(faq, text, terms) and second_person_needed(author):
            raise InvalidInput(_OWN_WORDS, code="faq_second_person")
        _put(faq, text, terms, author=author)
        return _save(faq, author=author, note=note or "edited", action="faq.edited")


def publish_faq(faq_id: int, *, author: Author, expected_revision: int | None = None, note: str = "") -> Faq:
    """Let customers see it. Publishing a published FAQ changes nothing."""
    with transaction.atomic():
        faq = _locked(faq_id, expected_revision=expected_revision)
        if faq.status == FaqStatus.PUBLISHED:
            return faq
        refuse_problems(faq.key, faq.locale, FaqText.of(faq))
        refuse_own_words(faq, author=author)
        faq.status = FaqStatus.PUBLISHED
        faq.published_at = timezone.now()
        return _save(faq, author=author, note=_noted("published", note), action="faq.published")


def publish_words(faq_id: int, *, text: FaqText, terms: FaqTerms, expected_revision: int, author: Author, note: str = "") -> Faq:
    """Save these words and let customers see them, whatever the FAQ's status was; an open change is done with."""
    with transaction.atomic():
        faq = _locked(faq_id, expected_revision=expected_revision)
        if faq.status != FaqStatus.PUBLISHED:
            faq = edit_faq(faq_id, text=text, terms=terms, expected_revision=expected_revision, author=author)
            return publish_faq(faq_id, expected_revision=faq.latest_revision, author=author, note=note)
        change = change_of(faq)
        if change is not None and (text, terms) == _said(change):
            return publish_change(faq_id, expected_revision=expected_revision, author=author, note=note)
        faq = edit_faq(
            faq_id, text=text, terms=terms, expected_revision=expected_revision, author=author, note=_noted("published", note)
        )
        return discard_change(faq_id, expected_revision=faq.latest_revision, author=author) if change else faq


def archive_faq(faq_id: int, *, author: Author, expected_revision: int | None = None, note: str = "") -> Faq:
    """Take it out of every answer; the words and revisions stay. Archiving an archived FAQ changes nothing."""
    with transaction.atomic():
        faq = _locked(faq_id, expected_revision=expected_revision)
        if faq.status == FaqStatus.ARCHIVED:
            return faq
        faq.status = FaqStatus.ARCHIVED
        return _save(faq, author=author, note=note or "archived", action="faq.archived", closes_change=True)


def revert_faq(faq_id: int, *, number: int, expected_revision: int, author: Author) -> Faq:
    """Bring back the words of an earlier revision, as a new revision. The status stays.

    Where a second person has to look, a published FAQ gets them as an unpublished change.
    """
    revision = FaqRevision.objects.filter(faq_id=faq_id, number=number).first()
    if revision is None:
        raise NotFound("This revision does not exist.", code="faq_revision_not_found")
    text, note = FaqText.of(revision), f"reverted to revision {number}"
    return _write(faq_id, text=text, expected_revision=expected_revision, author=author, note=note)


def add_phrasing(faq_id: int, *, phrasing: str, author: Author, locale: str = "", publish: bool = True, note: str = "") -> Faq:
    """Teach a FAQ one more way to ask it; an open change learns it too. One that it has already changes nothing.

    locale: the phrasing's; the FAQ's translation in that language is taught, where there is one. publish: False keeps it as an
    unpublished change. Returns the FAQ that was taught.
    """
    with transaction.atomic():
        faq = _locked(_in_language(faq_id, locale), expected_revision=None)
        if not one_line(phrasing):
            raise InvalidInput("The phrasing is empty.", code="faq_invalid", field="phrasings")
        change, note = change_of(faq), note or "phrasing added"
        if not publish and faq.status == FaqStatus.PUBLISHED:
            text, terms = _taught(change or faq, phrasing), FaqTerms.of(change or faq)
            return save_change(faq.pk, text=text, terms=terms, expected_revision=faq.latest_revision, author=author, note=note)
        faq = _write(
            faq.pk,
            text=_taught(faq, phrasing),
            expected_revision=faq.latest_revision,
            author=author,
            note=note,
            beside_change=True,
        )
        if change is not None and _taught(change, phrasing) != FaqText.of(change):
            _save_change(faq, _taught(change, phrasing), FaqTerms.of(change), status=faq.change_status, author=author, note=note)
        return faq


def save_change(
    faq_id: int,
    *,
    text: FaqText,
    terms: FaqTerms,
    expected_revision: int,
    author: Author,
    note: str = "",
    in_review: bool = False,
) -> Faq:
    """Keep words for later: of a published FAQ as its unpublished change, of any other in place. in_review: ask for a look."""
    with transaction.atomic():
        faq = _locked(faq_id, expected_revision=expected_revision)
        if faq.status != FaqStatus.PUBLISHED:
            faq = edit_faq(faq_id, text=text, terms=terms, expected_revision=expected_revision, author=author, note=note)
            return _ask_review(faq, author=author, note=note) if in_review else faq
        refuse_problems(faq.key, faq.locale, text, terms)
        change = change_of(faq)
        status = FaqStatus.REVIEW if in_review else FaqStatus(faq.change_status or FaqStatus.DRAFT)
        if (text, terms) == _said(change or faq) and (change is None or status == faq.change_status):
            return faq
        done = "asked for a review" if in_review else "change saved, not published"
        _save_change(faq, text, terms, status=status, author=author, note=_noted(done, note))
        return faq


def publish_change(faq_id: int, *, expected_revision: int, author: Author, note: str = "") -> Faq:
    """Let customers read the unpublished change. Raises NotFound when there is none."""
    with transaction.atomic():
        faq = _locked(faq_id, expected_revision=expected_revision)
        change = _wanted_change(faq)
        refuse_own_words(change, author=author)
        _put(faq, FaqText.of(change), FaqTerms.of(change), author=None)
        faq.written_by_id = change.written_by_id
        done = _noted(f"published change {change.number}", note)
        return _save(faq, author=author, note=done, action="faq.change_published", closes_change=True)


def send_back(faq_id: int, *, expected_revision: int, author: Author, note: str = "") -> Faq:
    """Answer a request for review with "not yet": it is a draft again, and the note says why."""
    with transaction.atomic():
        faq = _locked(faq_id, expected_revision=expected_revision)
        if faq.change_status == FaqStatus.REVIEW:
            change = _wanted_change(faq)
            text, terms = _said(change)
            _save_change(faq, text, terms, status=FaqStatus.DRAFT, author=author, note=_noted("sent back", note))
            return faq
        if faq.status != FaqStatus.REVIEW:
            raise Conflict("Nobody asks for a review of this FAQ any more.", code="faq_conflict")
        faq.status = FaqStatus.DRAFT
        return _save(faq, author=author, note=_noted("sent back", note), action="faq.sent_back")


def discard_change(faq_id: int, *, expected_revision: int, author: Author) -> Faq:
    """Drop the unpublished change; its words stay in the history."""
    with transaction.atomic():
        faq = _locked(faq_id, expected_revision=expected_revision)
        number = _wanted_change(faq).number
        return _save(faq, author=author, note=f"change {number} dropped", action="faq.change_dropped", closes_change=True)


def confirm_translation(faq_id: int, *, expected_revision: int, author: Author) -> Faq:
    """Say that a translation still says what its original says, though that was changed later."""
    with transaction.atomic():
        faq = _locked(faq_id, expected_revision=expected_revision)
        faq.written_at = timezone.now()
        note = "compared with the original: still right"
        return _save(faq, author=author, note=note, action="faq.translation_confirmed")


def free_key(question: str) -> str:
    """A key that tells what the FAQ is about: it stands in links and files and never changes again."""
    words = slugify(question, allow_unicode=True)[:_MAX_PROPOSED_CHARS]
    bare = words.rpartition("-")[0] if len(words) == _MAX_PROPOSED_CHARS and "-" in words else words
    bare = bare or "faq"
    taken = set(Faq.objects.filter(key__startswith=bare).values_list("key", flat=True))
    numbered = (f"{bare}-{number}" for number in itertools.count(2))
    return next(key for key in itertools.chain([bare], numbered) if key not in taken)


def second_person_needed(author: Author) -> bool:
    return bool(settings.FAQ_SECOND_PAIR_OF_EYES) and author is not None


def refuse_own_words(content: FaqContent, *, author: Author) -> None:
    """Raise InvalidInput when a second person has to publish and this one wrote the words."""
    if second_person_needed(author) and author and content.written_by_id == author.pk:
        raise InvalidInput(_OWN_WORDS, code="faq_second_person")


def reads_differently(content: FaqContent, text: FaqText, terms: FaqTerms) -> bool:
    """Whether customers would notice: category and owner are for the desk alone."""
    now, held = _said(content)
    return (text.question, text.answer, text.phrasings, terms.valid_from, terms.valid_until) != (
        *(now.question, now.answer, now.phrasings),
        *(held.valid_from, held.valid_until),
    )


def change_of(faq: Faq) -> FaqRevision | None:
    """The revision that holds the unpublished change."""
    return faq.revisions.filter(number=faq.change_number).first() if faq.change_number else None


def _write(faq_id: int, *, text: FaqText, expected_revision: int, author: Author, note: str, beside_change: bool = False) -> Faq:
    """Edit, or where a second person has to look, keep as a change. beside_change: the caller brings an open one up to date."""
    with transaction.atomic():
        faq = _locked(faq_id, expected_revision=expected_revision)
        if faq.status != FaqStatus.PUBLISHED or not second_person_needed(author):
            return edit_faq(faq_id, text=text, expected_revision=expected_revision, author=author, note=note)
        if beside_change and faq.change_number:
            return faq
        return save_change(
            faq_id,
            text=text,
            terms=FaqTerms.of(faq),
            expected_revision=expected_revision,
            author=author,
            note=note,
            in_review=True,
        )


def _in_language(faq_id: int, locale: str) -> int:
    """The FAQ, or its translation for readers of this locale. Archived ones are taught nothing by the way."""
    wanted = Faq.objects.filter(key__in=Faq.objects.filter(pk=faq_id).values("key")).exclude(status=FaqStatus.ARCHIVED)
    found = {pk: own for pk, own in wanted.values_list("pk", "locale") if same_language(own, locale)} if locale else {}
    exact = [pk for pk, own in found.items() if own == locale.lower()]
    return faq_id if faq_id in found and not exact else next(iter([*exact, *found]), faq_id)


def _taught(content: FaqContent, phrasing: str) -> FaqText:
    now = FaqText.of(content)
    return replace(now, phrasings=[*now.phrasings, phrasing])


def _said(content: FaqContent) -> tuple[FaqText, FaqTerms]:
    return FaqText.of(content), FaqTerms.of(content)


def _noted(done: str, note: str) -> str:
    return f"{done}: {note}" if note else done


def _ask_review(faq: Faq, *, author: Author, note: str) -> Faq:
    if faq.status == FaqStatus.REVIEW:
        return faq
    faq.status = FaqStatus.REVIEW
    return _save(faq, author=author, note=_noted("asked for a review", note), action="faq.review_asked")


def _wanted_change(faq: Faq) -> FaqRevision:
    change = change_of(faq)
    if change is None:
        raise NotFound("This FAQ has no unpublished change.", code="faq_change_not_found")
    return change


def _locked(faq_id: int, *, expected_revision: int | None) -> Faq:
    faq = Faq.objects.select_for_update().filter(pk=faq_id).first()
    if faq is None:
        raise NotFound("This FAQ does not exist.", code="faq_not_found")
    if expected_revision is not None and faq.latest_revision != expected_revision:
        raise Conflict(
            f"Somebody else changed this FAQ meanwhile (revision {faq.latest_revision}). Load it again and repeat your change.",
            code="faq_conflict",
        )
    return faq


def _put(faq: Faq, text: FaqText, terms: FaqTerms, *, author: Author) -> None:
    if not faq.pk or reads_differently(faq, text, terms):
        faq.written_by_id, faq.written_at = author.pk if author else None, timezone.now()
    put_words(faq, text, terms)


def put_words(content: FaqContent, text: FaqText, terms: FaqTerms) -> None:
    """Set the fields; saves nothing."""
    content.question, content.answer, content.category = text.question, text.answer, text.category
    content.phrasings = list(text.phrasings)
    content.valid_from, content.valid_until, content.owner_id = terms.valid_from, terms.valid_until, terms.owner_id


def _save(faq: Faq, *, author: Author, note: str, action: str, closes_change: bool = False) -> Faq:
    faq.revision = faq.latest_revision + 1
    if closes_change:
        faq.change_number, faq.change_status = None, ""
    faq.save()
    _record(faq, author=author, note=note, action=action)
    return faq


def _save_change(faq: Faq, text: FaqText, terms: FaqTerms, *, status: str, author: Author, note: str) -> None:
    before = change_of(faq)
    revision = revision_of(faq, author=author, note=note)
    put_words(revision, text, terms)
    revision.number, revision.status, revision.is_change = faq.latest_revision + 1, status, True
    if before is not None and not reads_differently(before, text, terms):
        revision.written_by_id = before.written_by_id
    else:
        revision.written_by_id = author.pk if author else None
    revision.save()
    faq.change_number, faq.change_status = revision.number, status
    faq.save(update_fields=["change_number", "change_status", "updated_at"])
    _audit("faq.change_saved", faq, author=author)


def _record(faq: Faq, *, author: Author, note: str, action: str) -> None:
    revision_of(faq, author=author, note=note).save()
    _audit(action, faq, author=author)
    transaction.on_commit(tasks.enqueue_refresh)


def _audit(action: str, faq: Faq, *, author: Author) -> None:
    detail: dict[str, audit.Value] = {"locale": faq.locale, "revision": faq.latest_revision, "status": str(faq.status)}
    audit.record(author.pk if author else None, action, f"faq {faq.key}", detail)


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
        valid_from=faq.valid_from,
        valid_until=faq.valid_until,
        owner_id=faq.owner_id,
        written_by_id=faq.written_by_id,
        author_id=author.pk if author else None,
        note=note[:200],
    )
