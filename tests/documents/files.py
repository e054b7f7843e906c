"""Tiny real files, made where a test needs them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import docx
import openpyxl

# (size, bold, text, y)
PdfLine = tuple[float, bool, str, float]


def pdf_of(pages: Sequence[Sequence[PdfLine]]) -> bytes:
    """A PDF with one line of text a piece, in Helvetica."""
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    for number, lines in enumerate(pages):
        drawn = "".join(f"/F{2 if bold else 1} {size} Tf 1 0 0 1 72 {y} Tm ({text}) Tj\n" for size, bold, text, y in lines)
        fonts = "<< /Font << /F1 3 0 R /F2 4 0 R >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {6 + 2 * number} 0 R /Resources {fonts} >>"
        )
        objects.append(f"<< /Length {len(drawn) + 6} >>\nstream\nBT\n{drawn}ET\nendstream")
    return _assembled(objects)


def _assembled(objects: Sequence[str]) -> bytes:
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("cp1252")
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    tail = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF"
    return out + head.encode() + tail.encode()


def page_of(number: int, *paragraphs: str, title: str = "") -> list[PdfLine]:
    """A page with a running head, a title, paragraphs of lines of about 60 letters, and its number."""
    lines: list[PdfLine] = [(9, False, "Larkwheel terms, edition 7", 815)]
    y = 780.0
    if title:
        lines.append((18, True, title, y))
        y -= 34
    for paragraph in paragraphs:
        for line in _wrapped(paragraph):
            lines.append((11, False, line, y))
            y -= 14
        y -= 12
    return [*lines, (9, False, str(number), 30)]


def _wrapped(text: str, width: int = 60) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def docx_of(*parts: tuple[str, str] | list[list[str]]) -> bytes:
    """A Word file: (style, text) is a paragraph, a list of rows a table. Style "hidden" is hidden text."""
    file = docx.Document()
    for part in parts:
        if isinstance(part, list):
            table = file.add_table(rows=len(part), cols=len(part[0]))
            for row, cells in zip(table.rows, part, strict=True):
                for cell, text in zip(row.cells, cells, strict=True):
                    cell.text = text
        elif part[0] == "hidden":
            file.add_paragraph().add_run(part[1]).font.hidden = True
        else:
            file.add_paragraph(part[1], style=part[0])
    return _saved(file)


def xlsx_of(rows: Sequence[Sequence[object]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(list(row))
    return _saved(book)


def _saved(file: object) -> bytes:
    out = io.BytesIO()
    file.save(out)  # type: ignore[attr-defined]
    return out.getvalue()


def with_part(content: bytes, name: str, body: bytes) -> bytes:
    """The ZIP with one part replaced or added, packed as small as it goes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            if entry.filename != name:
                target.writestr(entry, source.read(entry))
        target.writestr(name, body)
    return out.getvalue()
