"""What the buttons of the FAQ form mean, in calls of chatbot.knowledge.authoring: save, save and publish, save and archive."""

from __future__ import annotations

from typing import Any

from chatbot.knowledge import authoring
from chatbot.knowledge.content import FaqText
from chatbot.knowledge.models import Faq
from support_portal.accounts.models import User


def create(typed: dict[str, Any], *, action: str, author: User) -> Faq:
    """typed: the form's cleaned data. action: "publish", or anything else for a draft."""
    return authoring.create_faq(
        typed["key"], locale=typed["locale"], text=_text(typed), author=author, publish=action == "publish"
    )


def save(faq_id: int, typed: dict[str, Any], *, expected_revision: int, action: str, author: User) -> Faq:
    """Save the words and, where asked, publish or archive what was saved. Raises Conflict when somebody was quicker."""
    saved = authoring.edit_faq(faq_id, text=_text(typed), expected_revision=expected_revision, author=author)
    if action == "publish":
        return authoring.publish_faq(faq_id, author=author, expected_revision=saved.revision)
    if action == "archive":
        return authoring.archive_faq(faq_id, author=author, expected_revision=saved.revision)
    return saved


def _text(typed: dict[str, Any]) -> FaqText:
    return FaqText(question=typed["question"], answer=typed["answer"], phrasings=typed["phrasings"], category=typed["category"])
