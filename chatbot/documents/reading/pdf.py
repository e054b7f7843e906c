"""PDF to blocks, by pypdf (pure Python: a hostile file meets no C parser). No Django.

A PDF has letters at places, not paragraphs. Lines become paragraphs by their distance and size, headings are what is set larger
or bolder than the body, lines that come back on most pages (running heads, page numbers) are dropped.
"""

from __future__ import annotations

import io
import logging
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pypdf import PdfReader
from pypdf.errors import DependencyError

from chatbot.documents.reading.blocks import Reading, ReadingFailed, Writer, clean

MAX_HEADING_CHARS = 120
# A line this much larger than the body is a heading.
_LARGER = 1.15
# Lines further apart than this many times their size begin a new paragraph; usual leading is 1.2 to 1.5.
_GAP = 1.75
_EDGE_LINES = 2
_SMALLER = 0.9
_ITEM = re.compile(r"\s*(?:[-•◦▪●■·–‣]|\d{1,2}[.)]|\([a-z0-9]{1,2}\))\s+(?=\S)")
_NUMBERED_TITLE = re.compile(r"\d{1,2}(?:\.\d{1,2})*\.?\s+[^\W\d]")
_TERMINAL = re.compile(r"[.!?。！？:;…]['\"”’)\]]*\Z")
_BROKEN_WORD = re.compile(r"[^\W\d_]-\Z")


@dataclass(frozen=True)
class Line:
    text: str
    size: float
    bold: bool
    y: float
    page: int


def read_pdf(content: bytes, *, max_pages: int) -> Reading:
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(io.BytesIO(content), strict=False)
        _open(reader)
        pages = len(reader.pages)
        title = clean(str((reader.metadata and reader.metadata.title) or ""))
    except ReadingFailed:
        raise
    except DependencyError as error:
        raise _encrypted() from error
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # pypdf lets KeyError, ValueError, RecursionError and others out of a damaged file
        raise ReadingFailed("document_malformed", "The PDF is damaged: its table of contents cannot be read.") from error
    if pages > max_pages:
        raise ReadingFailed("document_too_many_pages", f"The PDF has {pages:,} pages; at most {max_pages:,} are read. Split it.")
    lines = [line for number in range(pages) for line in _lines_of(reader, number)]
    writer = Writer()
    _write(_without_running_heads(lines, pages=pages), writer)
    if not writer.blocks:
        raise ReadingFailed(
            "document_no_text", "The PDF holds pictures of text, not text (a scan?). Run it through text recognition first."
        )
    return Reading("pdf", writer.blocks, title=title, pages=pages)


def _open(reader: PdfReader) -> None:
    """Many files are locked against changes alone and open with an empty password."""
    if reader.is_encrypted and not reader.decrypt(""):
        raise _encrypted()


def _encrypted() -> ReadingFailed:
    return ReadingFailed("document_encrypted", "The PDF asks for a password. Save a copy without one.")


def _lines_of(reader: PdfReader, number: int) -> list[Line]:
    """The lines of a page in reading order. Raises ReadingFailed with the page."""
    pieces: list[tuple[str, float, bool, float]] = []

    def note(text: str, matrix: Sequence[float], text_matrix: Sequence[float], font: Any, size: float) -> None:
        scale = abs(text_matrix[3] or text_matrix[0]) * abs(matrix[3] or matrix[0])
        bold = "bold" in str((font or {}).get("/BaseFont", "")).lower()
        pieces.append((text, round((size or 0) * (scale or 1), 1), bold, matrix[3] * text_matrix[5] + matrix[5]))

    try:
        reader.pages[number].extract_text(visitor_text=note)
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # See read_pdf.
        raise ReadingFailed("document_malformed", f"Page {number + 1} of the PDF is damaged and cannot be read.") from error
    return list(_joined(pieces, page=number + 1))


def _joined(pieces: Iterable[tuple[str, float, bool, float]], *, page: int) -> Iterable[Line]:
    """Put pieces together to lines; a line is as large as most of its letters, and bold if all of them are."""
    gathered: list[tuple[str, float, bool, float]] = []
    for text, size, bold, y in pieces:
        first, *more = text.split("\n")
        gathered.append((first, size, bold, y))
        for part in more:
            yield from _line(gathered, page=page)
            gathered = [(part, size, bold, y)]
    yield from _line(gathered, page=page)


def _line(gathered: Sequence[tuple[str, float, bool, float]], *, page: int) -> Iterable[Line]:
    text = "".join(piece[0] for piece in gathered).rstrip()
    seen = [piece for piece in gathered if piece[0].strip()]
    if not seen:
        return
    sizes: Counter[float] = Counter()
    for piece in seen:
        sizes[piece[1]] += len(piece[0].strip())
    yield Line(text, sizes.most_common(1)[0][0], all(piece[2] for piece in seen), seen[0][3], page)


def _without_running_heads(lines: Sequence[Line], *, pages: int) -> list[Line]:
    """Drop page numbers and what stands at the edge of most pages; of fewer than four only what is smaller than the body."""
    by_page: dict[int, list[Line]] = {}
    for line in lines:
        by_page.setdefault(line.page, []).append(line)
    edges = [line for found in by_page.values() for line in {*found[:_EDGE_LINES], *found[-_EDGE_LINES:]}]
    common = {text for text, count in Counter(_masked(line) for line in edges).items() if count > max(pages / 2, 1)}
    edge, body = set(edges), _body_size(lines)
    # Chapter titles come back too ("Part 1", "Part 2"), but in larger letters than the body.
    largest = body if pages >= 4 else _SMALLER * body

    def runs(line: Line) -> bool:
        return line in edge and (line.text.strip().isdigit() or (_masked(line) in common and line.size <= largest))

    return [line for line in lines if not runs(line)]


def _body_size(lines: Sequence[Line]) -> float:
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def _masked(line: Line) -> str:
    return re.sub(r"\d+", "#", clean(line.text))


def _write(lines: Sequence[Line], writer: Writer) -> None:
    if not lines:
        return
    body = _body_size(lines)
    larger = sorted({line.size for line in lines if line.size > body * _LARGER}, reverse=True)
    levels = {size: level for level, size in enumerate(larger, start=1)}
    width = statistics.quantiles([len(line.text) for line in lines], n=10)[-1] if len(lines) > 1 else len(lines[0].text)
    gathered: list[Line] = []
    for line in lines:
        if gathered and _begins_anew(gathered[-1], line, body=body, width=width):
            _flush(gathered, writer, body=body, levels=levels)
            gathered = []
        gathered.append(line)
    _flush(gathered, writer, body=body, levels=levels)


def _begins_anew(before: Line, line: Line, *, body: float, width: float) -> bool:
    if _is_title(before, body=body) != _is_title(line, body=body) or (line.size != before.size and _is_title(line, body=body)):
        return True
    if _ITEM.match(line.text):
        return True
    ended = bool(_TERMINAL.search(before.text.strip()))
    if line.page != before.page:
        return ended
    if before.y - line.y > _GAP * max(line.size, before.size):
        return True
    return ended and len(before.text) < 0.7 * width


def _is_title(line: Line, *, body: float) -> bool:
    text = line.text.strip()
    if len(text) > MAX_HEADING_CHARS or not any(c.isalpha() for c in text):
        return False
    return line.size > body * _LARGER or (
        line.bold and not _TERMINAL.search(text) and (len(text) <= 60 or bool(_NUMBERED_TITLE.match(text)))
    )


def _flush(lines: Sequence[Line], writer: Writer, *, body: float, levels: dict[float, int]) -> None:
    if not lines:
        return
    text = lines[0].text.strip()
    for line in lines[1:]:
        following = line.text.strip()
        if _BROKEN_WORD.search(text) and following[:1].islower():
            text = text[:-1] + following
        else:
            text += " " + following
    first = replace(lines[0], text=text)
    if _is_title(first, body=body):
        writer.add("heading", text, level=levels.get(first.size, len(levels) + 1), page=first.page)
    elif marker := _ITEM.match(text):
        writer.add("item", text[marker.end() :], page=first.page)
    else:
        writer.add("paragraph", text, page=first.page)
