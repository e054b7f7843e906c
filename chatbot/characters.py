"""Characters a text from outside may hold, and those that no cell of a file may begin with. Knows nothing of Markdown."""

from __future__ import annotations

import re

# Controls but tab and newline, zero-width and bidirectional overrides, soft hyphens, byte order marks, tag characters and
# variation selectors beyond emoji: nobody sees them, and they hide words from people and from checks. The joiners of emoji,
# Persian and Indic scripts (U+200C, U+200D) and the plain direction marks (U+200E, U+200F) stay.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ue000-\uf8ff\ud800-\udfff\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
_BETWEEN_WORDS = re.compile(r"\W+")
# What starts a formula in spreadsheet programs, in half- and full-width spelling, also after blanks and what escaped it before.
_FORMULA = re.compile(r"[\s']*[=+\-@\t\r\n＝＋－＠]")
_LINE_ENDS = re.compile("\r\n?|[\u2028\u2029\x0b\x0c\x85]")


def strip_invisible(text: str) -> str:
    """Drop what cannot be seen and could deceive; all line ends become newlines."""
    return _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text))


def escaped_cell(text: str) -> str:
    """The text, with an apostrophe before what a spreadsheet program would calculate."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescaped_cell(text: str) -> str:
    """Take away what escaped_cell has put there, and nothing else."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def bare(text: str) -> str:
    """The words alone, the same however they are capitalised and punctuated."""
    return _BETWEEN_WORDS.sub(" ", text.casefold()).strip()
