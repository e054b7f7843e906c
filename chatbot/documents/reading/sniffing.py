"""Tell what a file is by what stands in it. A name is believed only between kinds of plain text. No Django."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Literal

from chatbot.documents.reading.blocks import FileKind, ReadingFailed

SniffedKind = FileKind | Literal["xlsx"]

MAX_UNPACKED_BYTES = 200 * 1024 * 1024
MAX_ENTRIES = 5_000
# Text of Word files shrinks to a tenth or twentieth; a bomb to a thousandth.
MAX_RATIO = 200
_SMALL_BYTES = 5 * 1024 * 1024
_HTML = re.compile(r"\A\s*(?:<!--.*?-->\s*)*(?:<\?xml[^>]*>\s*)?<(?:!doctype\s+html|html|head|body)\b", re.I | re.S)
_HTML_TAGS = re.compile(r"<(?:p|div|h[1-6]|ul|ol|table|span|br)\b[^>]*>", re.I)
_MARKDOWN = re.compile(r"^(?:#{1,6} \S|```|\|.+\|$|\[[^\]]+\]\([^)]+\))", re.M)
_FAQ_COLUMNS = ("key", "locale", "question", "answer")
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([\w-]{3,20})", re.I)
# Single-byte and Chinese, Japanese, Korean encodings of real old pages; nothing that changes ASCII.
_DECLARABLE = {
    *("iso-8859-1", "iso-8859-15", "iso-8859-2", "windows-1250", "windows-1251", "windows-1252", "koi8-r", "gbk", "gb2312"),
    *("gb18030", "big5", "shift_jis", "euc-jp", "euc-kr"),
}


def kind_of(content: bytes, *, name: str) -> SniffedKind:
    """Raises ReadingFailed for what this room does not read."""
    if not content.strip():
        raise ReadingFailed("document_empty", "The file is empty.")
    if b"%PDF-" in content[:1024]:
        return "pdf"
    if content[:4] == b"PK\x03\x04":
        return _kind_of_archive(content)
    if content[:8] == bytes.fromhex("d0cf11e0a1b11ae1"):
        raise ReadingFailed(
            "document_encrypted",
            "This is an old Office file or one with a password. Save it as .docx or PDF without a password.",
        )
    return _kind_of_text(decoded(content), name=name)


def _kind_of_archive(content: bytes) -> SniffedKind:
    """Judge a ZIP by its table of contents: nothing is unpacked before its sizes are known."""
    try:
        entries = zipfile.ZipFile(io.BytesIO(content)).infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise ReadingFailed("document_malformed", "The file is damaged: it cannot be unpacked.") from error
    size = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_ENTRIES or size > MAX_UNPACKED_BYTES or (size > _SMALL_BYTES and size > MAX_RATIO * len(content)):
        raise ReadingFailed(
            "document_zip_bomb",
            f"The file would unpack to {size / 2**20:,.0f} MB in {len(entries):,} parts, which no document needs.",
        )
    names = {entry.filename for entry in entries}
    if "word/document.xml" in names:
        return "docx"
    if "xl/workbook.xml" in names:
        return "xlsx"
    raise ReadingFailed("document_type", "This is an archive, not a document. Upload Markdown, HTML, PDF, DOCX or plain text.")


def _kind_of_text(text: str, *, name: str) -> FileKind:
    ending = name.lower().rpartition(".")[2]
    first = text.lstrip().split("\n", 1)[0].lower()
    if ending in ("csv", "jsonl") or all(column in first for column in _FAQ_COLUMNS):
        raise is_table()
    if _HTML.match(text[:5000]) or (ending in ("html", "htm", "xhtml") and _HTML_TAGS.search(text)):
        return "html"
    return "markdown" if ending in ("md", "markdown") or _MARKDOWN.search(text[:50_000]) else "text"


def is_table() -> ReadingFailed:
    return ReadingFailed(
        "document_is_table", "This is a table of questions. Bring it in under FAQs, Import, which shows what it would change."
    )


def decoded(content: bytes) -> str:
    """The text of a file in UTF-8, in UTF-16 with its mark, or in the encoding a page declares. Raises ReadingFailed."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _decode(content, "utf-16")
    if b"\x00" in content:
        raise ReadingFailed("document_type", "This is not a text. Upload Markdown, HTML, PDF, DOCX or plain text.")
    found = _CHARSET.search(content[:2048])
    encoding = found[1].decode("ascii").lower() if found and b"<" in content[:2048] else ""
    return _decode(content, encoding if encoding in _DECLARABLE else "utf-8-sig")


def _decode(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        wanted = "UTF-8" if encoding == "utf-8-sig" else encoding.upper()
        raise ReadingFailed(
            "document_encoding", f"Line {line}: byte 0x{byte:02x} is not {wanted}. Save the file as UTF-8."
        ) from error
