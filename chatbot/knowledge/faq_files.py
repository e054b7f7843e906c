"""FAQ files as JSONL and CSV: bytes to records with line numbers, and back. Knows the formats, not the database.

A spreadsheet runs a cell that begins with = + - or @ as a formula. Such a cell is written with an apostrophe before it, and
exactly that apostrophe is taken away when it is read; unescaped ones in a file from elsewhere are read as the text they are.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from chatbot.characters import escaped_cell, unescaped_cell
from chatbot.documents.reading.blocks import ReadingFailed
from chatbot.documents.reading.sandbox import sheet_as_csv
from chatbot.errors import InvalidInput
from chatbot.knowledge.faq_sheet import write_sheet

Format = Literal["jsonl", "csv", "xlsx"]

MAX_FILE_BYTES = 20 * 1024 * 1024
REQUIRED = ("key", "locale", "question", "answer")
# The order of columns; status stands in a file only where some FAQ is not published.
COLUMNS = ("key", "locale", "category", "question", "phrasings", "answer")
STATUS = "status"
_TEXT_FIELDS = ("key", "locale", "category", "question", "answer", STATUS)
_BOM = "\ufeff"


@dataclass(frozen=True)
class FileIssue:
    """One thing wrong in a file. line: from 1; 0 for the file as a whole."""

    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "file"
        return f"{where}: {self.field} {self.message}" if self.field else f"{where}: {self.message}"


@dataclass(frozen=True)
class Record:
    """One FAQ as a file tells it. status: empty where the file says nothing."""

    line: int
    key: str
    locale: str
    category: str
    question: str
    phrasings: tuple[str, ...]
    answer: str
    status: str = ""


def format_of(name: str) -> Format:
    """Tell the format from a file's name. Raises InvalidInput."""
    ending = name.lower().rpartition(".")[2]
    if ending in ("jsonl", "ndjson"):
        return "jsonl"
    if ending == "csv":
        return "csv"
    if ending == "xlsx":
        return "xlsx"
    raise InvalidInput("The file must be called .jsonl, .csv or .xlsx.", code="file_format", field="file")


def read_records(data: bytes, *, format: Format, strict: bool = True) -> Iterator[Record | FileIssue]:
    """Read a whole file; what cannot be read comes out as issues in its place. Not `strict`: unknown fields are passed over."""
    if len(data) > MAX_FILE_BYTES:
        yield FileIssue(0, "", f"has {len(data) / 2**20:.1f} MB; at most {MAX_FILE_BYTES // 2**20} MB are allowed")
        return
    if format == "xlsx":
        yield from _read_sheet(data, strict=strict)
        return
    try:
        text = data.decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError as error:
        yield _encoding_issue(data, error)
        return
    if "\x00" in text:
        yield FileIssue(text[: text.index("\x00")].count("\n") + 1, "", "contains a NUL character; is this a text file?")
        return
    yield from _read_jsonl(text, strict=strict) if format == "jsonl" else _read_csv(text, strict=strict)


def _encoding_issue(data: bytes, error: UnicodeDecodeError) -> FileIssue:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return FileIssue(1, "", "the file is UTF-16; save it as UTF-8")
    line_start = data.rfind(b"\n", 0, error.start) + 1
    line = data.count(b"\n", 0, error.start) + 1
    return FileIssue(
        line, "", f"byte {error.start - line_start + 1} (0x{data[error.start]:02x}) is not UTF-8; save the file as UTF-8"
    )


def _read_jsonl(text: str, *, strict: bool) -> Iterator[Record | FileIssue]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line, object_pairs_hook=_once_each)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            yield FileIssue(number, "", f"is not one JSON object: {reason}")
            continue
        if not isinstance(found, dict):
            yield FileIssue(number, "", "is not one JSON object")
            continue
        yield from _record(number, found if strict else _known(found))


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field stands twice")
    return found


def _read_sheet(data: bytes, *, strict: bool) -> Iterator[Record | FileIssue]:
    """The first sheet, read in a process of its own; each row counts as one line."""
    try:
        text = sheet_as_csv(data, name="faqs.xlsx")
    except ReadingFailed as failure:
        yield FileIssue(0, "", failure.message)
        return
    yield from _read_csv(text, strict=strict, rows_are_lines=True)


def _read_csv(text: str, *, strict: bool, rows_are_lines: bool = False) -> Iterator[Record | FileIssue]:
    """rows_are_lines: of a sheet, where a row has several lines of text and its last cells may be missing."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    columns: list[str] | None = None
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            # Where a quote is not closed, nothing after it can be trusted.
            yield FileIssue(line, "", f"is not valid CSV: {error}")
            return
        if cells is None:
            break
        if columns is None:
            columns = [cell.strip().lower() for cell in cells]
            if issue := _header_issue(columns, strict=strict):
                yield issue
                return
        elif any(cell.strip() for cell in cells):
            cells += [""] * (len(columns) - len(cells) if rows_are_lines else 0)
            yield from _csv_row(line, cells, columns, strict=strict)
        line = line + 1 if rows_are_lines else reader.line_num + 1
    if columns is None:
        yield FileIssue(1, "", "is empty; the first line names the columns: " + ",".join(COLUMNS))


def _header_issue(columns: list[str], *, strict: bool) -> FileIssue | None:
    if len(columns) == 1 and ";" in columns[0]:
        return FileIssue(1, "", "separates columns by semicolons; save the file with commas")
    if len(set(columns)) != len(columns):
        return FileIssue(1, "", "names a column twice")
    if strict and (unknown := [column for column in columns if column not in (*COLUMNS, STATUS)]):
        return FileIssue(1, unknown[0] or "(empty)", f"is not a known column; known are {', '.join((*COLUMNS, STATUS))}")
    if missing := [column for column in REQUIRED if column not in columns]:
        return FileIssue(1, missing[0], "is missing among the columns")
    return None


def _csv_row(line: int, cells: list[str], columns: list[str], *, strict: bool) -> Iterator[Record | FileIssue]:
    if len(cells) != len(columns):
        yield FileIssue(line, "", f"has {len(cells)} cells, the first line names {len(columns)} columns")
        return
    found: dict[str, Any] = {column: unescaped_cell(cell) for column, cell in zip(columns, cells, strict=True)}
    found["phrasings"] = found.get("phrasings", "").splitlines()
    yield from _record(line, found if strict else _known(found))


def _known(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name in (*COLUMNS, STATUS)}


def _record(line: int, found: Mapping[str, Any]) -> Iterator[Record | FileIssue]:
    issues = list(_field_issues(line, found))
    if issues:
        yield from issues
        return
    yield Record(
        line=line,
        key=found["key"].strip(),
        locale=found["locale"].strip(),
        category=found.get("category") or "",
        question=found["question"],
        phrasings=tuple(found.get("phrasings") or ()),
        answer=found["answer"],
        status=(found.get(STATUS) or "").strip(),
    )


def _field_issues(line: int, found: Mapping[str, Any]) -> Iterator[FileIssue]:
    for name in found:
        if name not in (*COLUMNS, STATUS):
            yield FileIssue(line, name[:40], f"is not a known field; known are {', '.join((*COLUMNS, STATUS))}")
    for name in REQUIRED:
        if name not in found:
            yield FileIssue(line, name, "is missing")
    for name in _TEXT_FIELDS:
        if name in found and not isinstance(found[name], str) and not (found[name] is None and name not in REQUIRED):
            yield FileIssue(line, name, "must be a text")
    phrasings = found.get("phrasings")
    if phrasings is not None and not (isinstance(phrasings, list) and all(isinstance(each, str) for each in phrasings)):
        yield FileIssue(line, "phrasings", "must be a list of texts")


def write_records(records: Iterable[Record], *, format: Format, with_status: bool) -> Iterator[bytes]:
    """Write a file piece by piece, one record each; a spreadsheet in one. Raises InvalidInput for what a sheet cannot hold."""
    columns = (*COLUMNS, STATUS) if with_status else COLUMNS
    if format == "xlsx":
        yield write_sheet(columns, (_cells(record, columns) for record in records))
        return
    if format == "csv":
        yield _csv_line(columns)
    for record in records:
        if format == "csv":
            yield _csv_line(_cells(record, columns))
        else:
            fields = {column: getattr(record, column) for column in columns}
            yield (json.dumps(fields, ensure_ascii=False) + "\n").encode()


def _cells(record: Record, columns: Iterable[str]) -> list[str]:
    fields = {column: getattr(record, column) for column in columns} | {"phrasings": "\n".join(record.phrasings)}
    return [escaped_cell(fields[column]) for column in columns]


def _csv_line(cells: Iterable[str]) -> bytes:
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()
