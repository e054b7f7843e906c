"""One form, one save: a better answer becomes knowledge, a phrasing, a test question and a training example, or none of it.

All of it is one transaction: what cannot be done (somebody changed the FAQ meanwhile, a second person must publish) undoes all
the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from chatbot.conversations import transcripts
from chatbot.conversations.models import Generation
from chatbot.errors import Conflict, InvalidInput
from chatbot.knowledge import authoring
from chatbot.knowledge.access import access_faq_as_staff
from chatbot.knowledge.content import FaqTerms, FaqText
from chatbot.knowledge.models import Faq, FaqStatus
from chatbot.learning import corrections, reviews
from chatbot.learning.review_models import Correction, ReviewItem
from chatbot.quality import suite
from chatbot.quality.asked import Asked
from chatbot.quality.models import TestQuestion
from chatbot.staffing import audit

Mode = Literal["", "replace", "append", "new"]
MODES: tuple[tuple[str, str], ...] = (
    ("", "Change no FAQ"),
    ("replace", "Its answer becomes this text"),
    ("append", "This text is added to its answer"),
    ("new", "Write a new FAQ with this answer"),
)
MAX_CHOICES = 12


@dataclass(frozen=True)
class NewFaq:
    key: str
    locale: str
    question: str
    category: str = ""


@dataclass(frozen=True)
class Wishes:
    """What shall come of the better answer.

    faq_id, faq_revision: the FAQ that is changed, taught or expected, and what the reviewer was looking at. publish: at once,
    where the person may. phrasing, question: as they stand in the form; empty where they are not wished.
    """

    verdict: str
    better: str
    mode: str = ""
    faq_id: int | None = None
    faq_revision: int | None = None
    publish: bool = False
    new: NewFaq | None = None
    phrasing: str = ""
    test_question: bool = False
    example: bool = False


@dataclass(frozen=True)
class Corrected:
    """done: what came of it, in sentences for the person."""

    correction: Correction
    done: tuple[str, ...]


def faqs_to_choose(generation: Generation) -> list[Faq]:
    """The FAQs the answer cites, then those the search found for it; those in the customer's language first."""
    cited = list(generation.reply.citations.values_list("key", flat=True))
    ranked = [str(row.get("key", "")) for row in (generation.trace or {}).get("ranked", [])]
    keys = [key for key in dict.fromkeys([*cited, *ranked]) if key and not key.startswith("document:")]
    locale = str((generation.trace or {}).get("language", ""))
    found = list(Faq.objects.filter(key__in=keys).exclude(status=FaqStatus.ARCHIVED))
    found.sort(key=lambda faq: (keys.index(faq.key), faq.locale != locale, faq.locale))
    return found[:MAX_CHOICES]


def correct(item_id: int, *, wishes: Wishes, author: AbstractBaseUser, may_edit: bool) -> Corrected:
    """may_edit: the author has the right `edit_faqs`; without it words wait for a review.

    Raises NotFound, InvalidInput (field names one of Wishes or NewFaq), and Conflict: nothing was saved.
    """
    with transaction.atomic():
        item = ReviewItem.objects.select_for_update().filter(pk=item_id).first() or reviews.access_item(item_id)
        if Correction.objects.filter(item=item).exists():
            raise Conflict("Somebody has corrected this answer meanwhile. Nothing of yours was saved.", code="corrected")
        generation = Generation.objects.select_related("reply__in_reply_to", "conversation").get(pk=item.generation_id)
        done: list[str] = []
        reviews.mark(item.pk, person_id=author.pk, verdict=wishes.verdict)
        faq = _write_faq(wishes, author=author, may_edit=may_edit, done=done)
        faq = _teach(faq, wishes, author=author, may_edit=may_edit, done=done)
        question_id = _add_question(faq, wishes, generation=generation, author=author, done=done)
        correction = corrections.store(
            item, author_id=author.pk, shown=generation.text, better=wishes.better, example=wishes.example
        )
        correction.faq, correction.faq_change = faq, wishes.mode
        correction.phrasing, correction.test_question_id = " ".join(wishes.phrasing.split())[:500], question_id
        correction.save()
        if wishes.example:
            done.append("Proposed as a training example.")
        audit.record(
            author.pk,
            "answer.corrected",
            f"generation {generation.pk}",
            {"verdict": wishes.verdict, "faq": faq.key if faq else "", "mode": wishes.mode, "publish": wishes.publish},
        )
    return Corrected(correction, tuple(done))


def _write_faq(wishes: Wishes, *, author: AbstractBaseUser, may_edit: bool, done: list[str]) -> Faq | None:
    publish = wishes.publish and may_edit
    if wishes.mode == "new":
        return _new_faq(wishes, author=author, publish=publish, ask=not may_edit, done=done)
    faq = access_faq_as_staff(wishes.faq_id) if wishes.faq_id else None
    if not wishes.mode:
        return faq
    if wishes.mode not in dict(MODES):
        raise InvalidInput("Choose what shall happen to the FAQ.", field="mode")
    if faq is None or wishes.faq_revision is None:
        raise InvalidInput("Choose the FAQ that shall change.", field="faq")
    # An unpublished change goes on from what it says already.
    basis = authoring.change_of(faq) or faq
    now = FaqText.of(basis)
    answer = wishes.better if wishes.mode == "replace" else f"{now.answer}\n\n{wishes.better.strip()}"
    text, terms = replace(now, answer=answer), FaqTerms.of(basis)
    words = {"text": text, "terms": terms, "expected_revision": wishes.faq_revision, "author": author}
    note = "corrected after a review"
    if publish:
        faq = authoring.publish_words(faq.pk, note=note, **words)  # type: ignore[arg-type]
    else:
        faq = authoring.save_change(faq.pk, note=note, in_review=not may_edit, **words)  # type: ignore[arg-type]
    done.append(_said(faq, publish=publish, may_edit=may_edit))
    return faq


def _new_faq(wishes: Wishes, *, author: AbstractBaseUser, publish: bool, ask: bool, done: list[str]) -> Faq:
    if wishes.new is None:
        raise InvalidInput("A new FAQ needs a key, a language and a question.", field="key")
    new = wishes.new
    text = FaqText(
        question=new.question, answer=wishes.better, category=new.category, phrasings=[wishes.phrasing] if wishes.phrasing else []
    )
    faq = authoring.create_faq(
        new.key.strip(), locale=new.locale, text=text, author=author, publish=publish, note="written after a review"
    )
    if ask:
        faq = authoring.save_change(
            faq.pk, text=text, terms=FaqTerms.of(faq), expected_revision=faq.latest_revision, author=author, in_review=True
        )
    done.append(_said(faq, publish=publish, may_edit=not ask))
    return faq


def _said(faq: Faq, *, publish: bool, may_edit: bool) -> str:
    if publish:
        return f"“{faq.question}” is published with the new words."
    if may_edit:
        return f"“{faq.question}” has an unpublished change."
    return f"An editor is asked to look at the change of “{faq.question}”."


def _teach(faq: Faq | None, wishes: Wishes, *, author: AbstractBaseUser, may_edit: bool, done: list[str]) -> Faq | None:
    if not wishes.phrasing.strip() or wishes.mode == "new":
        return faq
    if faq is None:
        raise InvalidInput("Choose the FAQ that shall learn this phrasing.", field="faq")
    note = "phrasing added after a review"
    if may_edit:
        authoring.add_phrasing(faq.pk, phrasing=wishes.phrasing, author=author, note=note)
    else:
        faq = access_faq_as_staff(faq.pk)
        basis = authoring.change_of(faq) or faq
        now = FaqText.of(basis)
        authoring.save_change(
            faq.pk,
            text=replace(now, phrasings=[*now.phrasings, wishes.phrasing]),
            terms=FaqTerms.of(basis),
            expected_revision=faq.latest_revision,
            author=author,
            note=note,
            in_review=True,
        )
    done.append("It has one more way to be asked.")
    return access_faq_as_staff(faq.pk)


def _add_question(
    faq: Faq | None, wishes: Wishes, *, generation: Generation, author: AbstractBaseUser, done: list[str]
) -> int | None:
    """Keep the customer's question as a test: with the FAQ that must answer it, or with none where the bot must not know."""
    asked = generation.reply.in_reply_to
    if not wishes.test_question or asked is None:
        return None
    wanted = Asked(
        text=asked.text,
        locale=generation.conversation.locale,
        history=transcripts.turns_before(asked),
        expected=faq.key if faq else None,
    )
    known = TestQuestion.objects.filter(identity=wanted.identity).first()
    if known is not None:
        suite.edit_question(known.pk, asked=wanted, note=known.note or "corrected after a review")
        done.append("The test question was there already; what it expects is brought up to date.")
        return known.pk
    made = suite.add_question(wanted, author=author, note="corrected after a review", source_id=asked.pk)
    done.append("Added to the test questions.")
    return made.pk
