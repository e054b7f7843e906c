"""What people write, made fit to be kept: composed, without what cannot be seen, within its limit."""

from __future__ import annotations

import re
import unicodedata

from django.core.exceptions import ValidationError
from django.forms import EmailField

from chatbot.characters import strip_invisible
from chatbot.conversations.models import PREVIEW_CHARS
from chatbot.errors import InvalidInput
from chatbot.protocol import MAX_EMAIL_CHARS, MAX_TEXT_CHARS

_LINK = re.compile(r"\[([^\]\n]+)\]\([^)\s]*\)?")
_MARKS = re.compile(r"\*\*|`|^\s*(?:[-*#>]+ )", re.M)
_ADDRESS = EmailField(max_length=MAX_EMAIL_CHARS)
_CITED = re.compile(r" ?\[\d{1,2}\]")


def clean(text: str) -> str:
    """A message's words. Raises InvalidInput when no words are left, or too many."""
    kept = composed(text)
    if not has_words(kept):
        raise InvalidInput("Write something first.", code="message_empty", field="text")
    if len(kept) > MAX_TEXT_CHARS:
        raise InvalidInput(f"A message can have at most {MAX_TEXT_CHARS} characters.", code="message_too_long", field="text")
    return kept


def composed(text: str) -> str:
    """Compose to NFC, drop what cannot be seen, trim."""
    return strip_invisible(unicodedata.normalize("NFC", text)).strip()


def has_words(text: str) -> bool:
    return any(unicodedata.category(c)[0] not in "ZC" for c in text)


def email_address(text: str) -> str:
    """An address to write to. Raises InvalidInput."""
    try:
        return str(_ADDRESS.clean(text))
    except ValidationError as error:
        raise InvalidInput("This is not an e-mail address.", code="email_invalid", field="email") from error


def without_markup(text: str) -> str:
    """Markdown's signs out of a text; it is shown as plain text, so this need not be exact."""
    return _MARKS.sub("", _LINK.sub(r"\1", text))


def preview_of(text: str) -> str:
    """The beginning, on one line, without Markdown's signs and citation marks."""
    beginning = without_markup(text[: 4 * PREVIEW_CHARS])
    return " ".join(_CITED.sub("", beginning).split())[:PREVIEW_CHARS]
