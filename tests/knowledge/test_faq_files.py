import io
import json
from dataclasses import replace

import openpyxl
import pytest

from chatbot.errors import InvalidInput
from chatbot.knowledge.faq_files import MAX_FILE_BYTES, FileIssue, Format, Record, format_of, read_records, write_records
from tests.documents.files import xlsx_of

HEADER = "key,locale,category,question,phrasings,answer\n"


def line(**changes: object) -> str:
    return json.dumps({"key": "a", "locale": "en", "question": "Q?", "answer": "A.", **changes})


def issue(data: bytes | str, *, format: Format = "jsonl") -> FileIssue:
    found = list(read_records(data.encode() if isinstance(data, str) else data, format=format))
    issues = [each for each in found if isinstance(each, FileIssue)]
    assert issues, found
    return issues[0]


def record(data: str, *, format: Format = "jsonl") -> Record:
    (found,) = read_records(data.encode(), format=format)
    assert isinstance(found, Record), found
    return found


def test_both_formats_tell_the_same() -> None:
    from_json = record(line(category="C", phrasings=["one", "two"]))
    from_csv = record(HEADER + 'a,en,C,Q?,"one\ntwo",A.\n', format="csv")
    assert {**vars(from_json), "line": 0} == {**vars(from_csv), "line": 0}


def test_csv_lines_are_counted_through_cells_of_several_lines() -> None:
    text = HEADER + 'a,en,,Q?,"one\ntwo\nthree",A.\nb,en,,Q?,\n'
    assert issue(text, format="csv").line == 5


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_a_byte_order_mark_is_passed_over(format: Format) -> None:
    text = line() if format == "jsonl" else HEADER + "a,en,,Q?,,A.\n"
    assert record("\ufeff" + text, format=format).key == "a"


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_windows_line_ends_are_read(format: Format) -> None:
    text = line() + "\r\n" if format == "jsonl" else (HEADER + "a,en,,Q?,,A.\n").replace("\n", "\r\n")
    assert record(text, format=format).answer == "A."


def test_broken_encoding_names_line_and_byte() -> None:
    found = issue(line().encode() + b"\n" + b'{"key": "\xe9"}')
    assert found.line == 2
    assert "byte 10 (0xe9) is not UTF-8" in found.message


def test_utf16_is_named() -> None:
    assert "UTF-16" in issue(line().encode("utf-16")).message


def test_nul_is_refused_with_its_line() -> None:
    assert issue(line() + "\n\x00").line == 2


def test_a_file_too_large_is_refused_unread() -> None:
    assert "at most 20 MB" in issue(b" " * (MAX_FILE_BYTES + 1)).message


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        (line(color="red"), "color", "not a known field"),
        ('{"key": "a", "locale": "en", "question": "Q?"}', "answer", "is missing"),
        (line(answer=3), "answer", "must be a text"),
        (line(phrasings="one"), "phrasings", "must be a list"),
        (line(phrasings=["one", 2]), "phrasings", "must be a list"),
        ("[1, 2]", "", "is not one JSON object"),
        ("{", "", "is not one JSON object"),
        ('{"key": "a", "key": "b"}', "", "a field stands twice"),
        ("[" * 100_000, "", "is not one JSON object"),
    ],
)
def test_bad_json_lines(text: str, field: str, message: str) -> None:
    found = issue(line(key="first") + "\n" + text)
    assert (found.line, found.field) == (2, field)
    assert message in found.message


@pytest.mark.parametrize(
    ("text", "line_number", "message"),
    [
        ("", 1, "is empty"),
        ("key,locale,question\n", 1, "missing among the columns"),
        (HEADER.replace("category", "colour"), 1, "not a known column"),
        (HEADER.replace("category", "key"), 1, "names a column twice"),
        (HEADER.replace(",", ";"), 1, "semicolons"),
        (HEADER + "a,en,,Q?\n", 2, "has 4 cells"),
        (HEADER + 'a,en,,Q?,,"open\n', 2, "not valid CSV"),
    ],
)
def test_bad_csv(text: str, line_number: int, message: str) -> None:
    found = issue(text, format="csv")
    assert found.line == line_number
    assert message in found.message


def test_empty_rows_of_a_spreadsheet_are_passed_over() -> None:
    assert record(HEADER + "a,en,,Q?,,A.\n,,,,,\n\n", format="csv").key == "a"


@pytest.mark.parametrize(
    "cell", ["=1+1", "+65 6000", "-5 %", "@home", "\ttab", " =blank", "'=quoted", "''=twice", "＝wide", "'plain", "plain"]
)
def test_no_cell_can_be_a_formula_and_all_come_back(cell: str) -> None:
    given = Record(line=0, key="a", locale="en", category="", question="Q?", phrasings=(), answer=cell)
    data = b"".join(write_records([given], format="csv", with_status=False))
    written = data.decode().splitlines()[1].rsplit(",", 1)[1].strip('"')
    assert written[0] not in "=+-@\t＝"
    assert record(data.decode(), format="csv").answer == cell


def test_no_cell_of_a_sheet_is_a_formula_and_no_text_too_long_for_one() -> None:
    given = Record(line=0, key="a", locale="en", category="@x", question="=1+1", phrasings=("+65",), answer='=cmd|"/c calc"!A1')
    book = openpyxl.load_workbook(io.BytesIO(b"".join(write_records([given], format="xlsx", with_status=False))))
    cells = [cell for row in book.worksheets[0].iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} == {"s"} and not [c for c in cells if str(c.value).startswith(("=", "+", "@"))]
    wordy = replace(given, phrasings=("x" * 499,) * 70)
    with pytest.raises(InvalidInput, match="phrasings of a have more than 32,767"):
        list(write_records([wordy], format="xlsx", with_status=False))


def test_rows_of_a_sheet_are_counted_whatever_their_cells_hold() -> None:
    """The second FAQ's answer, its row's last cell, is empty; the row above has three lines of phrasings."""
    rows = [["key", "locale", "question", "phrasings", "answer"], ["a", "en", "Q?", "one\ntwo\nthree", "A."], ["b", "en", "Q?"]]
    found = list(read_records(xlsx_of(rows), format="xlsx"))
    assert [(each.line, getattr(each, "answer", "?")) for each in found] == [(2, "A."), (3, "")]
    broken = issue(b"PK\x03\x04 broken", format="xlsx")
    assert str(broken).startswith("file: ") and "cannot be unpacked" in broken.message


def test_a_formula_from_elsewhere_is_text() -> None:
    assert record(HEADER + "a,en,,=1+1,,A.\n", format="csv").question == "=1+1"


@pytest.mark.parametrize("format", ["jsonl", "csv", "xlsx"])
def test_what_is_written_is_read_back(format: Format) -> None:
    given = Record(
        line=0,
        key="a",
        locale="zh-hans",
        category='C, "quoted"',
        question="多久？",
        phrasings=("=one", "two, three", '"four"'),
        answer="Line one.\n\n- **two**, three\n",
        status="draft",
    )
    (found,) = read_records(b"".join(write_records([given], format=format, with_status=True)), format=format)
    assert isinstance(found, Record)
    assert {**vars(found), "line": 0} == vars(given)


def test_unknown_fields_can_be_passed_over() -> None:
    (found,) = read_records(line(tags=["x"]).encode(), format="jsonl", strict=False)
    assert isinstance(found, Record)


@pytest.mark.parametrize(("name", "format"), [("a.jsonl", "jsonl"), ("A.CSV", "csv"), ("a.Xlsx", "xlsx")])
def test_the_name_tells_the_format(name: str, format: str) -> None:
    assert format_of(name) == format


@pytest.mark.parametrize("name", ["faqs.xls", "faqs", ""])
def test_other_formats_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"\.jsonl, \.csv or \.xlsx"):
        format_of(name)
