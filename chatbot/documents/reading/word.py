"""DOCX to blocks, by python-docx, whose XML parser resolves no entities and fetches nothing. No Django."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import docx
from docx.oxml.ns import qn
from docx.table import Table
from docx.text.paragraph import Paragraph

from chatbot.documents.reading.blocks import Reading, ReadingFailed, Writer, clean

_HEADING = re.compile(r"(?:heading|überschrift|titre|título|标题)\s*(\d)", re.I)


def read_docx(content: bytes) -> Reading:
    try:
        file = docx.Document(io.BytesIO(content))
        title = clean(file.core_properties.title or "")
        writer, page = Writer(), 1
        has_pages = bool(file.element.body.findall(f".//{qn('w:lastRenderedPageBreak')}"))
        for item in file.iter_inner_content():
            if isinstance(item, Table):
                writer.add_table(_rows(item), page=page if has_pages else 0)
            else:
                _add(item, writer, page=page if has_pages else 0)
            page += len(item._element.findall(f".//{qn('w:lastRenderedPageBreak')}"))
    except MemoryError:
        raise
    except Exception as error:  # python-docx lets KeyError, BadZipFile, XMLSyntaxError and others out of a damaged file
        raise ReadingFailed("document_malformed", "The Word file is damaged and cannot be read.") from error
    return Reading("docx", writer.blocks, title=title, pages=page if has_pages else 0, hidden=writer.hidden)


def _add(paragraph: Paragraph, writer: Writer, *, page: int) -> None:
    text = _visible_text(paragraph, writer)
    style = paragraph.style.name if paragraph.style is not None and paragraph.style.name else ""
    heading = _HEADING.match(style)
    # Where a page ends inside the paragraph's head, the heading stands on the new page.
    page += bool(page and heading and paragraph.rendered_page_breaks)
    if heading or style == "Title":
        writer.add("heading", text, level=int(heading[1]) if heading else 1, page=page)
    elif style.startswith("List") or paragraph._p.find(f".//{qn('w:numPr')}") is not None:
        writer.add("item", text, page=page)
    else:
        writer.add("paragraph", text, page=page)


def _visible_text(paragraph: Paragraph, writer: Writer) -> str:
    parts = []
    for piece in paragraph.iter_inner_content():
        runs: Sequence[Any] = getattr(piece, "runs", [piece])
        for run in runs:
            if run.font.hidden:
                writer.hidden += bool(clean(run.text))
            else:
                parts.append(run.text)
    return "".join(parts)


def _rows(table: Table) -> list[list[str]]:
    """The cells' words; a merged cell stands once."""
    rows = []
    for row in table.rows:
        cells = list(dict.fromkeys(row.cells))
        rows.append([cell.text for cell in cells])
    return rows
