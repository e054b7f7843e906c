"""Cut what was read into passages: 80 to 180 words where the structure allows, no sentence cut. No database."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from chatbot.answering.sentences import sentences
from chatbot.documents.reading.blocks import Block

MIN_WORDS = 80
MAX_WORDS = 180
# The rest of a section joins the passage before it when it is shorter than this.
_TAIL_WORDS = 40
# A "sentence" without an end (a table of figures, a list without stops) is cut here, at a blank.
MAX_SENTENCE_CHARS = 1_500
MAX_HEADING_CHARS = 300
# What the embedder reads of a text at once; longer passages get several vectors.
WINDOW_CHARS = 280
_MAX_PREFIX_CHARS = 120
_WIDE = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_SEPARATOR = " › "


@dataclass(frozen=True)
class Passage:
    """heading: the path of headings above it; page: where it begins, 0 where the format has no pages."""

    heading: str
    page: int
    text: str


@dataclass
class _Open:
    """The passage being gathered. pieces: (text, what stands before it)."""

    page: int = 0
    words: int = 0
    pieces: list[tuple[str, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(before + text if number else text for number, (text, before) in enumerate(self.pieces)).strip()


def count_words(text: str) -> int:
    """Words; two characters of a script without blanks between words count as one."""
    return len(_WIDE.sub(" ", text).split()) + len(_WIDE.findall(text)) // 2


def split(blocks: Sequence[Block]) -> list[Passage]:
    """Every heading begins a passage; within a section passages end between blocks where that suits, else between sentences."""
    found: list[Passage] = []
    path: list[tuple[int, str]] = []
    section: list[Block] = []
    for block in blocks:
        if block.kind == "heading":
            found.extend(_passages_of(section, heading=_heading(path)))
            section = []
            path = [(level, text) for level, text in path if level < block.level] + [(block.level, block.text)]
        else:
            section.append(block)
    found.extend(_passages_of(section, heading=_heading(path)))
    return found


def _heading(path: Sequence[tuple[int, str]]) -> str:
    """The path, its outer parts left out where it grows too long."""
    texts = [text for _, text in path]
    while len(texts) > 1 and len(_SEPARATOR.join(texts)) > MAX_HEADING_CHARS:
        texts = texts[1:]
    return _SEPARATOR.join(texts)[:MAX_HEADING_CHARS]


def _passages_of(section: Sequence[Block], *, heading: str) -> Iterator[Passage]:
    done: list[_Open] = []
    current = _Open()
    before = ""
    for block in section:
        separator = "\n" if block.kind in ("item", "row") and before in ("item", "row") else "\n\n"
        before = block.kind
        size = count_words(block.text)
        if current.words >= MIN_WORDS and current.words + size > MAX_WORDS:
            done.append(current)
            current = _Open()
        for number, sentence in enumerate(_sentences(block)):
            words = count_words(sentence)
            if current.pieces and current.words + words > MAX_WORDS:
                done.append(current)
                current = _Open()
            current.page = current.page or block.page
            marker = "- " if not number and block.kind in ("item", "row") else ""
            current.pieces.append((marker + sentence, "" if number else separator))
            current.words += words
    if current.pieces:
        done.append(current)
    if len(done) > 1 and done[-1].words < _TAIL_WORDS:
        tail = done.pop()
        done[-1].pieces.extend([(tail.pieces[0][0], tail.pieces[0][1] or " "), *tail.pieces[1:]])
    yield from (Passage(heading, passage.page, passage.text) for passage in done)


def _sentences(block: Block) -> Iterator[str]:
    for sentence in sentences(block.text):
        while len(sentence) > MAX_SENTENCE_CHARS:
            end = sentence.rfind(" ", 0, MAX_SENTENCE_CHARS) + 1 or MAX_SENTENCE_CHARS
            yield sentence[:end]
            sentence = sentence[end:]
        yield sentence


def windows(passage: Passage) -> list[str]:
    """The pieces of a passage that are embedded, each under its headings: an embedder reads some fifty words at once.

    The whole path, because "Charging" under "The battery" of "Voltus e-bike" says what it is about.
    """
    path = passage.heading.split(_SEPARATOR)
    while len(path) > 1 and len(". ".join(path)) > _MAX_PREFIX_CHARS:
        path = path[1:]
    prefix = f"{'. '.join(path)[:_MAX_PREFIX_CHARS]}: " if passage.heading else ""
    found: list[str] = []
    held = ""
    for sentence in sentences(passage.text):
        for piece in _pieces(sentence.strip(), room=WINDOW_CHARS):
            if held and len(held) + 1 + len(piece) > WINDOW_CHARS:
                found.append(prefix + held)
                held = ""
            held = f"{held} {piece}".strip()
    return [*found, prefix + held] if held or not found else found


def _pieces(sentence: str, *, room: int) -> Iterator[str]:
    while len(sentence) > room:
        end = sentence.rfind(" ", 0, room) + 1 or room
        yield sentence[:end].strip()
        sentence = sentence[end:]
    yield sentence
