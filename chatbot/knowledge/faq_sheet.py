"""FAQs as a spreadsheet: one sheet that people can sort, edit and import again. Every cell is text; none is a formula."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font

from chatbot.errors import InvalidInput

# What a spreadsheet can hold, and what the import reads of one.
MAX_CELL_CHARS = 32_767
MAX_ROWS = 20_000
_WIDTHS = {"key": 26, "locale": 9, "category": 18, "question": 44, "phrasings": 44, "answer": 80, "status": 11}


def write_sheet(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Write an XLSX file. rows: cells in the columns' order, formulas already neutralised. Raises InvalidInput."""
    cells = list(rows)
    _refuse_what_no_sheet_holds(columns, cells)
    book = Workbook(write_only=True)
    sheet = book.create_sheet("FAQs")
    sheet.freeze_panes = "A2"
    for number, column in enumerate(columns):
        sheet.column_dimensions[chr(ord("A") + number)].width = _WIDTHS.get(column, 20)
    sheet.append([_cell(sheet, column, font=Font(bold=True)) for column in columns])
    layout = Alignment(wrap_text=True, vertical="top")
    for row in cells:
        sheet.append([_cell(sheet, text, alignment=layout) for text in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _refuse_what_no_sheet_holds(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if len(rows) >= MAX_ROWS:
        raise InvalidInput(f"A spreadsheet is exported with at most {MAX_ROWS - 1:,} FAQs. Export as CSV or JSONL.")
    for row in rows:
        for column, text in zip(columns, row, strict=True):
            if len(text) > MAX_CELL_CHARS:
                raise InvalidInput(
                    f"The {column} of {row[0]} have more than {MAX_CELL_CHARS:,} characters, which no spreadsheet cell holds. "
                    "Export as CSV or JSONL."
                )


def _cell(sheet: object, text: str, **style: object) -> WriteOnlyCell:
    cell = WriteOnlyCell(sheet, value=text)
    cell.data_type = "s"  # openpyxl takes what begins with = for a formula
    for name, value in style.items():
        setattr(cell, name, value)
    return cell
