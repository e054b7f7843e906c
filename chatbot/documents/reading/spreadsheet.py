"""The first sheet of an XLSX file as CSV, for the FAQ import. Formulas are read as their last result. No Django."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime

import openpyxl

from chatbot.documents.reading.blocks import ReadingFailed

MAX_ROWS = 20_000
MAX_COLUMNS = 50


def read_sheet_as_csv(content: bytes) -> str:
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        for number, row in enumerate(sheet.iter_rows(max_col=MAX_COLUMNS, values_only=True), start=1):
            if number > MAX_ROWS:
                raise ReadingFailed("document_too_long", f"The sheet has more than {MAX_ROWS:,} rows. Split it.")
            # An empty row stays one, so that errors name the line the editor sees.
            writer.writerow(_without_tail([_cell(value) for value in row]))
    except (ReadingFailed, MemoryError):
        raise
    except Exception as error:  # openpyxl lets KeyError, BadZipFile, ParseError and others out of a damaged file
        raise ReadingFailed("document_malformed", "The spreadsheet is damaged and cannot be read.") from error
    return out.getvalue()


def _without_tail(row: list[str]) -> list[str]:
    while row and not row[-1]:
        row.pop()
    return row


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
