"""What the buttons of the FAQ form mean, in calls of chatbot.knowledge.authoring. Each button is one transaction."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from chatbot.knowledge import authoring
from chatbot.knowledge.content import FaqTerms, FaqText
from chatbot.knowledge.models import Faq
from support_portal.accounts.models import User


@transaction.atomic
def create(typed: dict[str, Any], *, action: str, author: User) -> Faq:
    """typed: the form's cleaned data. action: "publish", "review", or anything else for a draft."""
    text, terms = _text(typed), _terms(typed)
    made = authoring.create_faq(
        typed["key"],
        locale=typed["locale"],
        text=text,
        terms=terms,
        author=author,
        publish=action == "publish",
        note=typed["note"] if action != "review" else "",
    )
    if action != "review":
        return made
    return authoring.save_change(
        made.pk, text=text, terms=terms, expected_revision=1, author=author, note=typed["note"], in_review=True
    )


@transaction.atomic
def save(faq: Faq, typed: dict[str, Any], *, expected_revision: int, action: str, author: User) -> Faq:
    """Save the words and do what the button says with them. Raises Conflict when somebody was quicker.

    action: publish, review, send_back, archive, discard (drops the unpublished change), or anything else to save for later.
    """
    note = typed["note"]
    if action == "discard":
        return authoring.discard_change(faq.pk, expected_revision=expected_revision, author=author)
    words: dict[str, Any] = {"text": _text(typed), "terms": _terms(typed), "author": author}
    if action == "publish":
        return authoring.publish_words(faq.pk, expected_revision=expected_revision, note=note, **words)
    if action == "archive":
        archived = authoring.archive_faq(faq.pk, author=author, expected_revision=expected_revision)
        return authoring.edit_faq(faq.pk, expected_revision=archived.latest_revision, **words)
    if action == "review":
        return authoring.save_change(faq.pk, expected_revision=expected_revision, note=note, in_review=True, **words)
    saved = authoring.save_change(
        faq.pk, expected_revision=expected_revision, note=note if action != "send_back" else "", **words
    )
    if action == "send_back":
        return authoring.send_back(faq.pk, expected_revision=saved.latest_revision, author=author, note=note)
    return saved


def said_of(saved: Faq, *, action: str) -> str:
    """The sentence that tells the author what has happened."""
    if action == "send_back":
        return "Sent back to its author as a draft, with your note in the history."
    if action == "discard":
        return "The unpublished change is dropped. Its words stay in the history."
    if Faq.Status.REVIEW in (saved.status, saved.change_status):
        return "Saved. It waits for a review; whoever may edit FAQs finds it under “waits for review”."
    if saved.change_number:
        return "Saved, not published. Customers go on reading what was published before."
    if saved.status == Faq.Status.PUBLISHED:
        return _published(saved)
    if saved.status == Faq.Status.ARCHIVED:
        return "Saved. It is archived: the bot does not use it."
    return "Saved. It is a draft: the bot does not use it."


def _published(saved: Faq) -> str:
    now = timezone.now()
    if saved.valid_until and saved.valid_until <= now:
        return "Saved and published, but it has expired: the bot does not use it."
    if saved.valid_from and saved.valid_from > now:
        return "Saved and published. The bot uses it from the date on that it is valid from."
    return "Saved and published. The bot uses it within a few seconds."


def _text(typed: dict[str, Any]) -> FaqText:
    return FaqText(question=typed["question"], answer=typed["answer"], phrasings=typed["phrasings"], category=typed["category"])


def _terms(typed: dict[str, Any]) -> FaqTerms:
    return FaqTerms(valid_from=typed["valid_from"], valid_until=typed["valid_until"], owner_id=typed["owner"])
