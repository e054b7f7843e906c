"""What stands beside the form of one FAQ: its other languages, the review it waits for, its use. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chatbot.answering.language import NAMES, direction
from chatbot.errors import InvalidInput
from chatbot.insights.faq_usage import usage_of
from chatbot.knowledge.access import locales, revisions_of, translations_of
from chatbot.knowledge.authoring import change_of, refuse_own_words, second_person_needed
from chatbot.knowledge.models import Faq, FaqRevision
from chatbot.rendering import render_markdown
from support_portal.accounts.models import User
from support_portal.faqs.differences import Line
from support_portal.faqs.forms import FaqForm
from support_portal.faqs.listing import changed_parts, dates_of


@dataclass(frozen=True)
class Language:
    """One language of the key. faq: None where it is missing. stale: written before the original was changed."""

    locale: str
    name: str
    faq: Faq | None = None
    html: str = ""
    dir: str = "ltr"
    is_original: bool = False
    is_current: bool = False
    stale: bool = False


@dataclass(frozen=True)
class Review:
    """The open request for a review, or the unpublished change. parts: how it differs from what customers read."""

    asked: FaqRevision | None
    in_review: bool
    is_change: bool
    parts: list[tuple[str, list[Line]]]


def languages_of(key: str, *, current: str) -> list[Language]:
    """The key in every language that the knowledge base has, the original first, what is missing last."""
    faqs = translations_of(key) if key else []
    original = faqs[0] if faqs else None
    found = [
        Language(
            locale=faq.locale,
            name=name_of(faq.locale),
            faq=faq,
            html=render_markdown(faq.answer),
            dir=direction(faq.answer),
            is_original=faq is original,
            is_current=faq.locale == current,
            stale=original is not None and faq.written_at < original.written_at,
        )
        for faq in faqs
    ]
    there = {faq.locale for faq in faqs}
    missing = [Language(locale, name_of(locale)) for locale in locales() if locale not in there and locale != current]
    return found + missing


def name_of(locale: str) -> str:
    return NAMES.get(locale) or NAMES.get(locale.split("-")[0], locale)


def original_since(faq: Faq, languages: list[Language]) -> list[tuple[str, list[Line]]]:
    """What has changed in the original since this translation was written."""
    original = next((language.faq for language in languages if language.is_original), None)
    if original is None or original.pk == faq.pk:
        return []
    before = revisions_of(original).filter(created_at__lte=faq.written_at, is_change=False).first()
    wanted = ("Question", "Answer")
    return [(name, lines) for name, lines in (changed_parts(before, original) if before else []) if name in wanted]


def review_of(faq: Faq) -> Review | None:
    """None for a FAQ whose words are all published or a draft that nobody is asked to look at."""
    change = change_of(faq)
    in_review = Faq.Status.REVIEW in (faq.status, faq.change_status)
    if change is None and not in_review:
        return None
    parts = [part for part in changed_parts(faq, change) if part[0] != "Status"] if change else []
    asked = change or revisions_of(faq).filter(status=Faq.Status.REVIEW).first()
    return Review(asked=asked, in_review=in_review, is_change=change is not None, parts=parts)


def may_publish(faq: Faq | None, *, user: User) -> bool:
    """Whether this person may publish the words as they stand; amended ones are judged when they are saved."""
    if faq is None:
        return not second_person_needed(user)
    try:
        refuse_own_words(change_of(faq) or faq, author=user)
    except InvalidInput:
        return False
    return bool(faq.status != Faq.Status.PUBLISHED or faq.change_number or not second_person_needed(user))


def form_of(faq: Faq) -> FaqForm:
    """The form with the words that are worked on: those of the unpublished change where there is one."""
    content = change_of(faq) or faq
    names = ("category", "question", "answer", "valid_from", "valid_until")
    initial = {name: getattr(content, name) for name in names} | {"key": faq.key, "locale": faq.locale}
    return FaqForm(initial=initial | {"phrasings": "\n".join(content.phrasings), "owner": content.owner_id or ""}, faq=faq)


def beside(faq: Faq | None, *, key: str, locale: str, user: User) -> dict[str, Any]:
    """The context of the editor's side panels."""
    languages = languages_of(key, current=locale)
    mine = next((language for language in languages if language.is_current), None)
    return {
        "languages": languages,
        "stale": original_since(faq, languages) if faq and mine and mine.stale else None,
        "is_stale": bool(mine and mine.stale),
        "review": review_of(faq) if faq else None,
        "usage": usage_of([faq])[faq.pk] if faq else None,
        "dates": dates_of(faq) if faq else None,
        "may_publish": may_publish(faq, user=user),
        "second_person": second_person_needed(user),
    }
