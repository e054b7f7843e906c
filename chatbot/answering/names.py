"""Names in a sentence: products, places, brands, policies, labels on buttons. A name that nobody gave is a fact nobody stated.

A name is told by its writing alone: a capital inside a sentence or inside a word, bold or quoted words, and letters of the
Latin script in a text of another. German writes every noun so, and is told by capitals inside a word only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from chatbot.answering.fact_words import CURRENCIES, MONTHS, UNITS, WEEKDAYS

# Letters, with what joins the parts of one name.
_WORD = re.compile(r"[^\W\d_]+(?:['’&.-][^\W\d_]+)*")
_LATIN_WORD = re.compile(r"[A-Za-zÀ-ÿ]{2,}(?:['’&-][A-Za-zÀ-ÿ]+)*")
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LINK = re.compile(r"\]\([^)]*\)|(?:https?://|www\.)\S+|\S+@\S+")
_LABEL = re.compile(
    r"\*\*([^*\n]{2,60})\*\*|[“\"]([^”\"\n]{2,60})[”\"]|「([^」\n]{2,40})」|『([^』\n]{2,40})』|《([^》\n]{2,40})》"
)
# Behind these a sentence begins anew, so a capital says nothing.
_OPENS = re.compile(r"(?:\A|[.!?:;\n。！？：；]|[-*•–]\s|\d[.)]\s)[\s*_\"'“”‘’(\[«¿¡]*\Z")
# What facts.py compares by value, and words that are written large without naming anything.
_PLAIN = ("i", "i'm", "i'll", "i've", "i'd", "ok", "okay", "faq", "faqs", "mr", "mrs", "ms", "dr", "am", "pm")
_NO_NAMES = frozenset((*_PLAIN, *MONTHS, *WEEKDAYS, *CURRENCIES, *UNITS))
# In a translated sentence short words in capitals are mostly common ones: ID, QR, PDF.
_MAX_COMMON_CAPITALS = 4
_MIN_LABEL_LETTERS = 4


class Names:
    """The words that may be used as names: those of the passages, of the customer, of the company."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._text = " ".join(_folded(text) for text in texts)
        self._words = frozenset(part for word in _WORD.findall(self._text) for part in _parts(word))

    def unknown(self, sentence: str, *, same_language: bool, language: str = "en") -> list[str]:
        """Return the names of a sentence that nobody gave.

        same_language: whether the sentence is in the passages' language; in another one, a label or a place may be translated.
        """
        sentence = _LINK.sub("] ", sentence)
        found = [
            name for name in _written_as_names(sentence, language=language, translated=not same_language) if not self._has(name)
        ]
        if same_language:
            found += [label for label in _labels(sentence) if not self._has_label(label)]
        return list(dict.fromkeys(found))

    def _has(self, name: str) -> bool:
        folded = _folded(name)
        return (
            folded in _NO_NAMES
            or folded.rstrip("s") in _NO_NAMES
            or all(part in self._words for part in _parts(folded))
            or folded in self._words
        )

    def _has_label(self, label: str) -> bool:
        folded = _folded(label).strip(" .,;:!?。，")
        if _UNSPACED.search(folded):
            return folded in self._text
        return all(
            any(part in self._words for part in _parts(word)) for word in _WORD.findall(folded) if len(word) >= _MIN_LABEL_LETTERS
        )


def _written_as_names(sentence: str, *, language: str, translated: bool) -> Iterator[str]:
    if _UNSPACED.search(sentence):
        yield from _LATIN_WORD.findall(sentence)
        return
    for match in _WORD.finditer(sentence):
        word = match.group()
        common = translated and word.isupper() and len(word) <= _MAX_COMMON_CAPITALS
        inside = any(character.isupper() for character in word[1:]) and not common
        told_by_capital = word[0].isupper() and language != "de" and not translated
        if inside or (told_by_capital and not _OPENS.search(sentence[: match.start()])):
            yield word


def _labels(sentence: str) -> Iterator[str]:
    for match in _LABEL.finditer(sentence):
        yield next(group for group in match.groups() if group)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().replace("’", "'")


def _parts(word: str) -> list[str]:
    """A name's parts without the endings that grammar gives it: "Larkclub's" and "e-bikes" are Larkclub and e, bike."""
    return [_stem(part) for part in re.split(r"[-&.]", re.sub(r"'s?\Z", "", word)) if part]


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word
