"""What people write, made fit to be kept: composed, without what cannot be seen, within its limit."""

from __future__ import annotations

import re
import unicodedata

from chatbot.characters import strip_invisible
from chatbot.conversations.models import PREVIEW_CHARS
from chatbot.errors import InvalidInput
from chatbot.protocol import MAX_TEXT_CHARS

_LINK = re.compile(r"\[([^\]\n]+)\]\([^)\s]*\)?")
_MARKS = re.compile(r"\*\*|`| ?\[\d{1,2}\]|^\s*(?:[-*#>]+ )", re.M)


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


def preview_of(text: str) -> str:
    """The beginning, on one line, without Markdown's signs and citation marks; shown as plain text, so this need not be exact."""
    beginning = text[: 4 * PREVIEW_CHARS]
    return " ".join(_MARKS.sub("", _LINK.sub(r"\1", beginning)).split())[:PREVIEW_CHARS]
