"""Where sentences end, in a text that is still being written. Knows punctuation, not meaning."""

from __future__ import annotations

import re

_SHORT_FORMS = (
    "e.g i.e etc approx ca vs no nr mr mrs ms dr prof st inc ltd co corp dept est tel ext fig max min incl excl resp jan feb mar "
    "apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun z.b d.h u.a bzw ggf evtl inkl zzgl p.ej sr sra av art "
    "a.m p.m"
)
_ABBREVIATIONS = frozenset(_SHORT_FORMS.split())
_FULL_STOPS = "。！？｡؟۔।"
_CLOSERS = "\"'”’»」』）)*_"
# A line end, or a stop with the quotes and citation marks that belong to it.
_STOP = re.compile(rf"(?P<line>\n+)|(?P<stop>[.!?{_FULL_STOPS}]+)[{re.escape(_CLOSERS)}]*(?:[ \t]*\[\d{{1,2}}\])*[.。]?")
_MAYBE_CITATION = re.compile(r"[ \t]*(?:\[\d{0,2})?\Z")
_WORD_BEFORE = re.compile(r"[^\s(\[*_\"']*\Z")
_LIST_NUMBER = re.compile(r"(?:^|\n)[ \t]*\d{1,3}\Z")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


class SentenceStream:
    """Cut a growing text into sentences. The sentences joined give the text back, blanks and line ends included."""

    def __init__(self) -> None:
        self._rest = ""

    def push(self, piece: str) -> list[str]:
        """Add text; returns the sentences that have certainly ended."""
        self._rest += piece
        return self._take(final=False)

    def flush(self) -> list[str]:
        """Return what is left; the text has ended."""
        found = self._take(final=True)
        if self._rest:
            found.append(self._rest)
            self._rest = ""
        return found

    def _take(self, *, final: bool) -> list[str]:
        found = []
        while (end := _first_end(self._rest, final=final)) is not None:
            found.append(self._rest[:end])
            self._rest = self._rest[end:]
        return found


def sentences(text: str) -> list[str]:
    """Cut a finished text."""
    stream = SentenceStream()
    return [*stream.push(text), *stream.flush()]


def _first_end(text: str, *, final: bool) -> int | None:
    for match in _STOP.finditer(text):
        before, after = text[: match.start()], text[match.end() :]
        if match["line"]:
            if before.strip():
                return match.end()
            continue
        if not final and _MAYBE_CITATION.match(after):
            return None  # a citation mark or a lower-case word may still follow
        if _ends_sentence(before, match["stop"], after):
            blanks = len(after) - len(after.lstrip(" \t"))
            return match.end() + blanks
    return None


def _ends_sentence(before: str, stop: str, after: str) -> bool:
    if stop[-1] in _FULL_STOPS:
        return True
    if after and not after[0].isspace() and not _UNSPACED.match(after):
        return False  # a decimal, a link, a file name
    if stop != ".":
        return True
    word_match = _WORD_BEFORE.search(before)
    word = word_match.group().lower() if word_match else ""
    if word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha() and word.isascii()) or _LIST_NUMBER.search(before):
        return not after.strip()
    return not after.lstrip()[:1].islower()
